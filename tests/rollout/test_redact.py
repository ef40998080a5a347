"""Secrets planted wherever they can stand, and searched for in every form in what comes out."""

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.plans import check, digest
from rollout.redact import HIDDEN, Redactor, is_secret_name
from tests.rollout.plan_documents import plan, resource

# Made of parts, so that no scanner of this repository takes them for secrets.
AWS_KEY = "AKIA" + "IOSFODNN7ABCDEFG"
GITHUB = "ghp_" + "a1B2" * 9
GOOGLE = "AIza" + "SyA-0123456789" + "_abcdefghijklmnopqrstu"
JWT = ".".join(
    ("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl" + "0w5N_XgL0n3I9PlFUP0THsR8U")
)
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabc+/def==\n-----END RSA " + "PRIVATE KEY-----"
AZURE_KEY = "Ab1+" * 21 + "Ab=="
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=data;AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net"
AWKWARD = 'p@ss "w0rd"/ü+&<x>\\n=%'  # its form differs in every encoding
SECRETS = (AWS_KEY, GITHUB, GOOGLE, JWT, PEM, AZURE_KEY)


def forms(secret: str) -> dict[str, str]:
    """A secret as programs write it into other texts."""
    raw = secret.encode()
    return {
        "as it is": f"before {secret} after",
        "json": json.dumps({"a": secret}),
        "json without ascii": json.dumps({"a": secret}, ensure_ascii=False),
        "json in json": json.dumps({"a": json.dumps({"b": secret})}),
        "address": f"https://example.com/?a={quote(secret, safe='')}&b=1",
        "form": f"a={quote_plus(secret)}",
        "html": f"<p>{html.escape(secret)}</p>",
        "base64": base64.b64encode(raw).decode(),
        "base64 behind one": base64.b64encode(b"x" + raw + b"yz").decode(),
        "base64 behind two": base64.b64encode(b"xy" + raw + b"z").decode(),
        "base64 of json": base64.b64encode(json.dumps({"a": secret}).encode()).decode(),
        "base64 for addresses": base64.urlsafe_b64encode(b"xx" + raw).decode(),
        "hex": raw.hex(),
        "lines": f"a: |\n  {secret}\n",
    }


def decoded(text: str) -> list[str]:
    """A text, and what it is the base64 or the hex of."""
    found = [text]
    for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
        try:
            found.append(decode(text).decode("utf-8", "replace"))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize("form", forms("x"))
@pytest.mark.parametrize("secret", [AWKWARD, "correct horse battery staple", "tr0ub4dor&3", GITHUB], ids=repr)
def test_a_known_secret_is_hidden_in_every_form(secret: str, form: str) -> None:
    text = forms(secret)[form]
    shown = Redactor([secret], {}).text(text)
    assert shown != text
    assert not any(secret in found for found in decoded(shown))
    assert secret not in str(Redactor([secret], {}).value({"a": [text]}))


def test_what_stands_around_a_secret_stays() -> None:
    assert Redactor(["hunter2hunter2"], {}).text("before hunter2hunter2 after") == "before [secret] after"


def test_each_line_of_a_secret_of_several_lines_is_hidden() -> None:
    shown = Redactor(["first line of it\nsecond line of it"], {}).text("log: second line of it")
    assert shown == "log: [secret]"


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    assert Redactor(["abc"], {}).text("abc") == HIDDEN
    assert Redactor(["abc"], {}).text("abcdef") == "abcdef"


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "DB_PASSWORD", "PULUMI_CONFIG_PASSPHRASE", "MY_SECRET"]
)
def test_what_the_environment_calls_a_secret_is_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Redactor((), {name: "value-of-8"}).text("x value-of-8 y") == "x [secret] y"
    assert Redactor((), {name: "short"}).text("x short y") == "x short y"
    monkeypatch.setenv(name, "value-of-9-")
    assert Redactor().text("x value-of-9- y") == "x [secret] y"


def test_an_ordinary_variable_of_the_environment_is_not_hidden() -> None:
    assert Redactor((), {"HOME": "/home/somebody", "GITHUB_SHA": "a" * 40}).text("/home/somebody") == "/home/somebody"


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:8])
@pytest.mark.parametrize("frame", ["{}", "a {} b", '"x": "{}"', "https://x.example/{}", "x={}\ny"])
def test_what_looks_like_a_secret_is_hidden(secret: str, frame: str) -> None:
    assert secret not in Redactor((), {}).text(frame.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        "postgres://app:{}@db.example:5432/app",
        "https://:{}@x.example",
        "Authorization: Bearer {}",
        "authorization: Basic {}",
        "Authorization: AWS4-HMAC-SHA256 Credential={}",
        "Authorization: {}",
        'curl --header "authorization: Negotiate {}"',
        "export DB_PASSWORD={}",
        'DB_PASSWORD="{}"',
        "DB_PASSWORD = '{}'",
        '{{"clientSecret": "{}"}}',
        '{{"clientSecret":"{}"}}',
        '{{\\"apiKey\\": \\"{}\\"}}',
        '{{"name": "API_TOKEN", "value": "{}"}}',
        'token: {}\nother: "x"',
        "AccountName=a;AccountKey={};x=y",
        "Server=x;User Id=y;Password={};",
        "https://x.example/?sig={}&sv=1",
        "client-key-data: {}",
        "-----BEGIN PRIVATE " + "KEY-----\n{}",
    ],
)
def test_what_stands_where_secrets_stand_is_hidden_in_a_text(text: str) -> None:
    shown = Redactor((), {}).text(text.format("Tr0ub4dor3xyz"))
    assert "Tr0ub4dor3xyz" not in shown
    assert HIDDEN in shown
    encoded = base64.b64encode(text.format("Tr0ub4dor3xyz").encode()).decode()
    assert not any("Tr0ub4dor3xyz" in found for found in decoded(Redactor((), {}).text(encoded)))


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:groundwork-dev-a1b2c3",
        '{"Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:o/r:environment:dev"}}}',
        '{"httpTokens": "required", "automountServiceAccountToken": false, "secretName": "tls"}',
        "export TOKEN=$(gcp_token)",
        'DB_PASSWORD="${DB_PASSWORD}"',
        "token = json.load(sys.stdin)",
        "Microsoft.Authorization/roleAssignments",
        "azure-native:authorization:RoleAssignment",
        "s3:GetObject on arn:aws:s3:::example-groundwork-dev-data/*",
        "sha256:" + "ab" * 32,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor((), {}).text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "adminPassword",
        "db_password",
        "secret",
        "clientSecret",
        "privateKey",
        "connectionString",
        "token",
        "sas-token",
        "secretString",
        "groundwork:apiKey",
        "storageAccountAccessKey",
        "credentials",
        "passphrase",
        "Authorization",
    ],
)
def test_what_a_name_calls_a_secret_is_hidden(name: str) -> None:
    redactor = Redactor((), {})
    assert redactor.value("plain words", f"inputs/a/{name}") == HIDDEN
    assert redactor.value({name: "plain words"}) == {name: HIDDEN}
    assert redactor.value({name: 123456}) == {name: HIDDEN}
    assert redactor.value({name: {"value": "plain words"}}) == {name: {"value": HIDDEN}}
    assert redactor.value(json.dumps({name: "plain words"})) == json.dumps({name: HIDDEN})
    assert redactor.value([{"name": name, "value": "plain words"}]) == [{"name": name, "value": HIDDEN}]
    assert redactor.value({name: True}) == {name: True}


@pytest.mark.parametrize(
    "name",
    [
        "secretArn",
        "secretName",
        "tokenUrl",
        "httpTokens",
        "passwordPolicy",
        "creationToken",
        "minimumPasswordLength",
        "key",
        "data",
    ],
)
def test_a_name_that_only_sounds_like_one_hides_nothing(name: str) -> None:
    assert not is_secret_name(name)
    assert Redactor((), {}).value({name: "plain words"}) == {name: "plain words"}


def test_below_several_secrets_only_what_tells_which_ones_they_are_stays() -> None:
    rows = [{"name": "db", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/db", "data": "plain words"}]
    shown = Redactor((), {}).value({"secrets": rows, "oauthToken": {"scope": "all", "value": "plain words"}})
    assert shown == {"secrets": [{**rows[0], "data": HIDDEN}], "oauthToken": {"scope": "all", "value": HIDDEN}}
    assert Redactor((), {}).value({"secrets": {"db": "plain words"}}) == {"secrets": {"db": HIDDEN}}


def test_pulumis_own_secrets_are_hidden() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"plain words"'}
    assert Redactor((), {}).value({"a": [secret]}) == {"a": [HIDDEN]}


PLANTED = "xK9-plain-words"
HOLDERS: dict[str, dict[str, Any]] = {
    "random:index/randomPassword:RandomPassword": {"result": PLANTED},
    "tls:index/privateKey:PrivateKey": {"privateKeyPem": PLANTED},
    "aws:secretsmanager/secretVersion:SecretVersion": {"secretString": PLANTED},
    "aws:ssm/parameter:Parameter": {"value": PLANTED},
    "gcp:secretmanager/secretVersion:SecretVersion": {"secretData": PLANTED},
    "azure-native:keyvault:Secret": {"properties": {"value": PLANTED}},
    "kubernetes:core/v1:Secret": {"stringData": {"a": PLANTED}},
    "aws:rds/instance:Instance": {"password": PLANTED},
}


def planted(token: str) -> dict[str, Any]:
    """A plan with a secret at its place, and wherever a program may have carried it."""
    everywhere = {name.replace(" ", ""): text for name, text in forms(PLANTED).items()}
    return plan(
        resource(token, "holder", HOLDERS[token], outputs=HOLDERS[token]),
        resource(
            "aws:lambda/function:Function", "user", {"description": PLANTED, **everywhere}, options={"x": PLANTED}
        ),
        resource("aws:lambda/function:Function", PLANTED, {PLANTED: 1}),
        config={"demo:x": PLANTED, "demo:password": "another-plain"},
        outputs={"x": {"y": PLANTED}},
    )


@pytest.mark.parametrize("token", HOLDERS)
def test_a_secret_of_a_plan_is_hidden_at_its_place_and_wherever_it_was_carried(token: str) -> None:
    shown = Redactor((), {}).plan(planted(token))
    leaves = json.dumps(shown)
    assert PLANTED not in leaves
    assert "another-plain" not in leaves
    assert not any(
        PLANTED in found for text in shown["resources"][2]["inputs"].values() for found in decoded(str(text))
    )
    assert check(shown, "plan") == shown


@pytest.mark.parametrize("token", HOLDERS)
def test_a_plan_has_one_digest_before_and_after_its_secrets_were_taken_out(token: str) -> None:
    assert digest(Redactor((), {}).plan(planted(token))) == digest(planted(token))


@given(
    st.recursive(
        st.one_of(
            st.text(max_size=12), st.sampled_from([*SECRETS, "password=hunter2", "Bearer abcdefgh.ij", "[secret]"])
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["password", "secrets", "name", "value", "x", "data"]), inner, max_size=3),
            inner.map(json.dumps),
        ),
        max_leaves=6,
    )
)
def test_redacting_twice_gives_what_redacting_once_gave(value: Any) -> None:
    redactor = Redactor(["hunter2"], {})
    once = redactor.value(value)
    assert redactor.value(once) == once


def test_a_long_text_is_read_in_time() -> None:
    for text in ("a" * 60_000, "token" * 12_000, "eyJ" * 20_000, '"' * 60_000, "\\" * 60_000, "://" * 20_000):
        assert len(Redactor(["hunter2hunter2"], {}).text(text)) == len(text)
