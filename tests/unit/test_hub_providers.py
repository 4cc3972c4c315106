"""Each login at a provider, with the configuration that stackgen gives it: who is who, and who is refused."""

import sys
from typing import Any

import hub_package  # noqa: F401  # so that what follows can be imported
import pytest
from unit_support import ROOT

sys.path.append(str(ROOT / "images/hub/piculatorauthenticator/tests"))

from account_service import Service
from jupyterhub import orm
from piculatorauthenticator import piculator as piculator_module
from real_hub import Browser, Hub, tell
from stackgen_hub.providers import PiculatorAuthenticator


@pytest.mark.parametrize("still", [{}, {"id": 5, "preferred_username": "ada.l"}])
def test_a_piculator_that_begins_to_offer_openid_connect_locks_nobody_out(
    still: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its subjects are others then: people are known by the id, if it still gives that, or else by their names."""

    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        service.openid = True
        service.profile = {"sub": "a4f1", "preferred_username": "ada", "groups": ["students"], **still}
        assert (await Browser(hub).log_in()).code == 200
        service.profile |= {"preferred_username": "countess", "id": None}
        assert (await Browser(hub).log_in()).code == 200
        assert [user.name for user in hub.app.db.query(orm.User)] == ["ada"]
        service.profile |= {"sub": "b0b0", "preferred_username": "ada"}
        page = await Browser(hub).log_in()
        assert page.code == 403
        assert "The user name ada belongs to somebody else here" in page.body.decode()

    monkeypatch.setattr(piculator_module, "BARE_LIFETIME", 0.0)
    bare = Service(openid=False, profile={"id": 5, "username": "Ada", "groups": ["students"]})
    tell(story, PiculatorAuthenticator, bare, piculator_url="{url}", volume_prefix="home-")
