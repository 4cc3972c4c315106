"""Piculator: the account service of a student club. Login, profile, logout, and an OAuth server for other services."""

import secrets

import oauth
import store
from authlib.common.urls import add_params_to_uri
from authlib.integrations.flask_oauth2 import current_token
from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, abort, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

store.prepare()
app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_hex(),
    SESSION_COOKIE_NAME="piculator",
    SESSION_COOKIE_SECURE=True,
    SESSION_COOKIE_SAMESITE="Lax",
)
server = oauth.attach(app)


def logged_in() -> store.User | None:
    """Whose session this is."""
    return store.user(session["user_id"]) if "user_id" in session else None


@app.before_request
def outage() -> tuple[str, int] | None:
    """Nothing works while a test ordered that."""
    return ("Piculator is down\n", 503) if store.ordered("down") else None


@app.get("/")
def profile() -> BaseResponse | str:
    user = logged_in()
    return render_template("profile.html", user=user) if user else redirect(url_for("login"))


@app.route("/login", methods=["GET", "POST"])
def login() -> BaseResponse | tuple[str, int] | str:
    """The login form. `next` is a page of Piculator to go on to."""
    if request.method == "GET":
        return render_template("login.html", message="")
    user = store.user_with_password(request.form["username"], request.form["password"])
    if user is None:
        return render_template("login.html", message="Wrong username or password"), 401
    session.clear()
    session["user_id"] = user.id
    onward = request.args.get("next", "/")
    return redirect(onward if onward.startswith("/") and not onward.startswith(("//", "/\\")) else "/")


@app.route("/logout", methods=["GET", "POST"])
def logout() -> BaseResponse | str:
    """End the session; back to the client if it asks for the page that is registered for it."""
    session.clear()
    onward = request.values.get("post_logout_redirect_uri", request.values.get("next"))
    if onward != oauth.CLIENT.after_logout_url:
        return render_template("goodbye.html")
    state = request.values.get("state")
    return redirect(add_params_to_uri(onward, {"state": state}) if state else onward)


@app.get("/oauth/authorize")
def authorize() -> BaseResponse:
    """Where a client sends the browser. Whoever is logged in has agreed: the client is the club's own."""
    user = logged_in()
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    if user is None or grant.prompt == "login":
        again = {key: value for key, value in request.args.items() if key != "prompt"}
        return redirect(url_for("login", next=url_for("authorize", **again)))
    return server.create_authorization_response(grant=grant, grant_user=user)


@app.post("/oauth/token")
def token() -> Response:
    return server.create_token_response()


@app.post("/oauth/revoke")
def revoke() -> Response:
    return server.create_endpoint_response("revocation")


@app.route("/oauth/userinfo", methods=["GET", "POST"])
@oauth.require_oauth()
def userinfo() -> Response:
    return jsonify(oauth.claims(store.user(current_token.user_id)))


@app.get("/oauth/jwks")
def jwks() -> Response:
    return jsonify(store.public_keys()) if oauth.OPENID else abort(404)


@app.get("/.well-known/openid-configuration")
def discovery() -> Response:
    """OpenID Connect Discovery 1.0; a bare OAuth service has none."""
    if not oauth.OPENID:
        abort(404)
    return jsonify(
        issuer=oauth.ISSUER,
        authorization_endpoint=oauth.ISSUER + url_for("authorize"),
        token_endpoint=oauth.ISSUER + url_for("token"),
        userinfo_endpoint=oauth.ISSUER + url_for("userinfo"),
        revocation_endpoint=oauth.ISSUER + url_for("revoke"),
        end_session_endpoint=oauth.ISSUER + url_for("logout"),
        jwks_uri=oauth.ISSUER + url_for("jwks"),
        scopes_supported=oauth.SCOPES,
        response_types_supported=["code"],
        grant_types_supported=["authorization_code", "refresh_token"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
        token_endpoint_auth_methods_supported=oauth.AUTHENTICATION,
        code_challenge_methods_supported=["S256"],
        claims_supported=["sub", "preferred_username", "name", "email", "groups"],
    )
