"""The hub of the chain asks configurable-http-proxy instead of nginx."""

c = get_config()  # noqa: F821
c.ConfigurableHTTPProxy.api_url = "http://chp:8001"
