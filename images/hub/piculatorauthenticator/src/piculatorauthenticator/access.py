"""Ends what a user has open on the hub: sessions of browsers, tokens, servers."""

import asyncio

from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from sqlalchemy.orm import Session

# asyncio itself keeps only weak references to tasks
_stopping: set[asyncio.Task[None]] = set()


async def end_access(user: User, *, servers: bool = True) -> None:
    """Make every cookie and token of a user void, and stop the user's servers.

    With `servers=False` running servers go on, and keep their own tokens; whoever wants to use them must log in again.

    Servers are stopped in the background: the request that found out may come from one of them, and would wait for
    itself. A server that is just being started is stopped as soon as it has started.
    """
    kept = set() if servers else {_token_id(user, spawner) for spawner in user.spawners.values() if spawner.active}
    for token in user.db.query(orm.APIToken).filter_by(user_id=user.id):
        if token.id not in kept:
            user.db.delete(token)
    _void_cookies(user)
    user.log.warning("Ended all sessions%s of %s", " and servers" if servers else "", user.name)
    if servers:
        for name, spawner in user.spawners.items():
            if spawner.active:
                task = asyncio.create_task(_stop(user, name))
                _stopping.add(task)
                task.add_done_callback(_stopping.discard)


def end_sessions(user: User) -> None:
    """Log a user out in every browser. API tokens that the user asked for, and servers, stay."""
    for token in user.db.query(orm.APIToken).filter_by(user_id=user.id).filter(orm.APIToken.session_id.is_not(None)):
        user.db.delete(token)
    _void_cookies(user)


def _void_cookies(user: User) -> None:
    """Nobody is logged in as this user any more, nor can go on with a login to a server that has begun."""
    for code in user.db.query(orm.OAuthCode).filter_by(user_id=user.id):
        user.db.delete(code)
    user.orm_user.cookie_id = orm.new_token()
    user.db.commit()


def _token_id(user: User, spawner: Spawner) -> int | None:
    """The token that the hub made for a server. A hub that was restarted does not know it any more."""
    if spawner.api_token:
        token = orm.APIToken.find(user.db, spawner.api_token)
        return token and token.id
    return server_token_id(user.db, spawner.orm_spawner)


def server_token_id(db: Session, server: orm.Spawner) -> int | None:
    """The token of a running server, as far as the database tells.

    The hub made it last before it started the server; users can give the same note to tokens of their own, before that
    or after.
    """
    if server.server is None:
        return None
    tokens = db.query(orm.APIToken).filter_by(user_id=server.user_id, note=f"Server at {server.server.base_url}")
    if server.started:
        tokens = tokens.filter(orm.APIToken.created <= server.started)
    newest = tokens.order_by(orm.APIToken.id.desc()).first()
    return newest and newest.id


async def _stop(user: User, name: str) -> None:
    """Stop one of the user's servers, as JupyterHub's own handler does."""
    spawner = user.spawners[name]
    while spawner.pending:
        await asyncio.sleep(0.2)
    if not spawner.ready:
        return  # the start failed, or somebody else stopped it
    spawner._stop_pending = True  # before anything is awaited, so that nobody else stops it as well
    try:
        try:
            await user.settings["proxy"].delete_user(user, name)
        finally:
            await user.stop(name)
    except Exception:
        user.log.exception("Could not stop the server %s", spawner._log_name)
    finally:
        spawner._stop_pending = False
