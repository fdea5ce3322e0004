"""Authlib against the gateway: code with PKCE, refresh, exchange, introspection, revocation."""

import json
import os
import re
import sys
import traceback
from html import unescape
from urllib.parse import urljoin, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwk, jwt

BASE = os.environ["BASE"]
REDIRECT_URI = os.environ["REDIRECT_URI"]
EMAIL, PASSWORD = os.environ["EMAIL"], os.environ["PASSWORD"]
CLIENTS = json.loads(os.environ["CLIENTS"])
SCOPE = "openid profile email offline_access content.read"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

METADATA = requests.get(BASE + "/.well-known/oauth-authorization-server", timeout=10).json()


def case(run):
    """Runs one case; the first one that fails ends the script. With CASE, those alone that hold it."""
    if os.environ.get("CASE", "") not in run.__doc__:
        return
    try:
        run()
    except Exception:
        print(f"FAILED  {run.__doc__}")
        traceback.print_exc(file=sys.stdout)
        sys.exit(1)
    print(f"ok      {run.__doc__}")


def attribute(tag, name):
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return unescape(found.group(1)) if found else None


def follow(url, end):
    """A browser without scripts: from an address until it leads to another one."""
    browser = requests.Session()
    answer = browser.get(url, allow_redirects=False, timeout=10)
    for _ in range(30):
        if "location" in answer.headers:
            url = urljoin(answer.url, answer.headers["location"])
            if url.startswith(end):
                return url
            assert urlsplit(url).netloc == urlsplit(BASE).netloc, f"led away: {url}"
            answer = browser.get(url, allow_redirects=False, timeout=10)
            continue
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code}\n{answer.text}"
        form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', answer.text, re.S)
        assert form, f"a page that leads nowhere:\n{answer.text}"
        fields = {}
        for tag in re.findall(r"<input\b[^>]*>", form.group(2)):
            if attribute(tag, "type") != "checkbox" or re.search(r"\schecked\b", tag):
                fields[attribute(tag, "name")] = attribute(tag, "value") or ""
        if "password" in fields:
            fields.update(email=EMAIL, password=PASSWORD)
        if 'name="decision"' in form.group(2):
            fields["decision"] = "allow"
        action = urljoin(answer.url, unescape(form.group(1)))
        answer = browser.post(
            action, data=fields, headers={"origin": BASE}, allow_redirects=False, timeout=10
        )
    raise AssertionError("thirty steps, and no end")


def session(name, **more):
    client = CLIENTS[name]
    return OAuth2Session(client["id"], client.get("secret"), **more)


def sign_in(name="public", method="none"):
    """A session with tokens, and the nonce of its ID token."""
    app = session(
        name,
        scope=SCOPE,
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
    )
    verifier, nonce = generate_token(48), generate_token(20)
    url, state = app.create_authorization_url(
        METADATA["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    callback = follow(url, REDIRECT_URI)
    app.fetch_token(
        METADATA["token_endpoint"],
        authorization_response=callback,
        code_verifier=verifier,
        state=state,
    )
    return app, nonce


def code_with_pkce():
    """code with PKCE, and an ID token whose signature and claims hold"""
    app, nonce = sign_in()
    keys = jwk.KeySet.import_key_set(requests.get(METADATA["jwks_uri"], timeout=10).json())
    claims = jwt.decode(app.token["id_token"], keys, algorithms=["RS256"]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": BASE},
        aud={"essential": True, "value": CLIENTS["public"]["id"]},
        nonce={"essential": True, "value": nonce},
        exp={"essential": True},
    )
    registry.validate(claims)
    info = app.get(METADATA["userinfo_endpoint"]).json()
    assert info["sub"] == claims["sub"] and info["email"] == EMAIL, info
    assert app.get(BASE + "/content/items").status_code == 200


def refresh():
    """refresh"""
    app, _ = sign_in()
    before = dict(app.token)
    after = app.refresh_token(METADATA["token_endpoint"], refresh_token=before["refresh_token"])
    assert after["refresh_token"] != before["refresh_token"]
    assert app.get(BASE + "/content/items").status_code == 200


def exchange():
    """a token for another (RFC 8693), and none for what is no token"""
    app, _ = sign_in("exchange", "client_secret_basic")
    service = session("exchange", token_endpoint_auth_method="client_secret_basic")
    asked = {"subject_token_type": ACCESS_TOKEN, "scope": "content.read"}
    token = service.fetch_token(
        METADATA["token_endpoint"],
        grant_type=EXCHANGE,
        subject_token=app.token["access_token"],
        **asked,
    )
    assert token["issued_token_type"] == ACCESS_TOKEN, token
    assert service.get(BASE + "/content/items").status_code == 200
    try:
        service.fetch_token(
            METADATA["token_endpoint"], grant_type=EXCHANGE, subject_token="x.y.z", **asked
        )
    except OAuthError as error:
        assert error.error == "invalid_request", error
    else:
        raise AssertionError("a token for what is no token")


def introspection():
    """introspection, and revocation that it sees"""
    app, _ = sign_in()
    service = session("service", token_endpoint_auth_method="client_secret_basic")
    token = app.token["access_token"]

    def look():
        return service.introspect_token(METADATA["introspection_endpoint"], token=token).json()

    assert look()["active"] is True
    revoked = app.revoke_token(METADATA["revocation_endpoint"], token=token)
    assert revoked.status_code == 200, revoked.text
    assert look() == {"active": False}


for one in (code_with_pkce, refresh, exchange, introspection):
    case(one)
