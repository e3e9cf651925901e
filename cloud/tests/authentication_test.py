"""Authentication, registration, tokens and the limits of HTTP."""

import asyncio
import http.client
import time

import pytest

from device import Device, LIMIT, PROTOCOLS, SERIAL, hear, refused_upgrade, say


def test_refusals_in_their_order(cloud):
    """[conn-2] An unknown serial, a blocked device and another key are refused by name."""
    stranger = Device(cloud, "HW-STRANGER")
    assert stranger.authenticate()[1]["error"]["code"] == "unknown_serial"
    owner, thief = Device(cloud), Device(cloud)
    assert owner.authenticate()[1]["binding"] == "new"
    assert thief.authenticate()[1]["error"]["code"] == "key_mismatch"
    assert owner.authenticate()[1]["binding"] == "existing"
    cloud.run("device", "block", SERIAL)
    assert thief.authenticate()[1]["error"]["code"] == "device_blocked"
    assert owner.register()[1]["error"]["code"] == "device_blocked"
    cloud.run("device", "unblock", SERIAL)
    assert owner.register()[0] == 200
    cloud.run("device", "remove", SERIAL)
    assert owner.register()[1]["error"]["code"] == "device_removed"


def test_a_nonce_serves_once(cloud):
    """[conn-2] A nonce is spent by the first proof that shows it, whatever the result."""
    device = Device(cloud)
    device.auth()
    nonce = device.nonce
    assert device.auth(device.proof(nonce))[0] == 200
    status, answer = device.auth(device.proof(nonce))
    assert (status, answer["error"]["code"]) == (401, "nonce_required")
    nonce = device.nonce
    assert device.auth(device.proof(nonce, aud="evil.test"))[0] == 403
    assert device.auth(device.proof(nonce))[0] == 401
    assert device.auth(device.proof("A" * 43))[0] == 401


@pytest.mark.parametrize("change", [
    {"header": {"alg": "none"}}, {"header": {"alg": "ES256", "kid": "1"}}, {"header": {"alg": "ES256", "jwk": {}}},
    {"header": {"alg": "ES256", "crit": []}}, {"aud": "other.test"}, {"serial": "HW-OTHER"}, {"jwk": {"kty": "EC"}},
    {"nonce": "short"}])
def test_bad_proofs(cloud, change):
    """[conn-2] A proof with another algorithm, header, audience, serial or key form is proof_invalid."""
    device = Device(cloud)
    status, answer = device.authenticate(**change) if "nonce" not in change else device.auth(device.proof(**change))
    assert (status, answer["error"]["code"]) == (403, "proof_invalid")


def test_bad_signatures(cloud):
    """[conn-2] A signature by another key, a cut one and a private part in the key are proof_invalid."""
    device, other = Device(cloud), Device(cloud)
    device.auth()
    assert device.auth(other.proof(device.nonce, jwk=device.jwk))[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce)[:-2])[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce, jwk={**device.jwk, "d": "AA"}))[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce))[0] == 200


def test_a_password_is_proven(cloud):
    """[conn-2] Where the operator set a password, a proof without it or with a wrong one is refused."""
    cloud.run("device", "add", "HW-PW", "--password-stdin", stdin="s3cret\n")
    device = Device(cloud, "HW-PW")
    assert device.authenticate()[1]["error"]["code"] == "password_required"
    assert device.authenticate(pwd=device.pwd("wrong", device.nonce))[1]["error"]["code"] == "password_wrong"
    assert device.authenticate(pwd=device.pwd("s3cret", device.nonce))[0] == 200
    assert "s3cret" not in cloud.log.read_text()


def test_failures_are_limited(cloud):
    """[sec-6] Ten refusals for a serial from one address mean 429 with Retry-After, but never for the owner's key."""
    owner, thief = Device(cloud), Device(cloud)
    assert owner.authenticate()[0] == 200
    for _ in range(10):
        assert thief.authenticate()[0] == 403
    status, answer = thief.authenticate()
    assert (status, answer["error"]["code"]) == (429, "too_many_requests")
    assert 1 <= int(thief.headers["Retry-After"]) <= 3600
    assert owner.authenticate()[0] == 200


@pytest.mark.parametrize("change", [
    {"keepalive_s": 9}, {"keepalive_s": "180"}, {"keepalive_count": 0}, {"ping_s": 601}, {"services": {}},
    {"boot_id": ""}, {"services": [{"service": "UPPER"}]}])
def test_registration_is_strict(cloud, change):
    """[conn-3] A registration with a member out of its range is a bad request."""
    device = Device(cloud)
    device.authenticate()
    status, answer = device.register(**change)
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    twice = device.services(("monitoring",)) * 2
    assert device.register(services=twice)[0] == 400
    assert device.register()[0] == 200


def test_tokens(cloud):
    """[sec-2] Absent, invented and expired tokens open nothing; no token stands in the log or the database."""
    device = Device(cloud)
    assert device.post("/hawser/v1/register", device.registration())[1]["error"]["code"] == "token_expired"
    assert device.post("/hawser/v1/register", device.registration(), "invented")[0] == 401
    device.authenticate()
    device.register()
    for token in ("", "invented"):
        assert refused_upgrade(device, device.url, "hawser.main.v1", token) == 401
    assert refused_upgrade(device, device.url, "other.v1", device.token) == 400

    async def go():
        main, grants = await device.main()
        return grants
    grants = asyncio.run(go())
    log, monitoring = grants["log_upload"], grants["monitoring"]
    assert refused_upgrade(device, log["url"], log["protocol"], monitoring["token"]) == 401
    assert refused_upgrade(device, log["url"], log["protocol"], device.token) == 401
    assert refused_upgrade(device, log["url"], monitoring["protocol"], log["token"]) == 400
    assert refused_upgrade(device, device.url, "hawser.main.v1", log["token"]) == 401
    base = f"wss://localhost:{cloud.port}/hawser/v1/service/"
    assert refused_upgrade(device, base + "nothing", "x", log["token"]) == 404
    kept = b"".join(path.read_bytes() for path in cloud.folder.glob("cloud.db*")) + cloud.log.read_bytes()
    for token in (device.token, log["token"], monitoring["token"]):
        assert token.encode() not in kept


def test_a_token_expires(cloud):
    """[sec-2] A token that is older than its life answers 401, and an open connection outlives it."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[fleet]\ntoken_life_s = 4\n")
    cloud.start()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        update = await hear(main, "subconnection_update")
        assert {grant["service"] for grant in update["grants"]} == set(PROTOCOLS)
        limit = time.monotonic() + LIMIT
        while True:  # the event waited for is the expiry itself
            status, _ = device.register()
            if status == 401:
                break
            assert time.monotonic() < limit
            await asyncio.sleep(0.1)
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())


def test_http_limits(cloud):
    """[cloud-1] A body over 64 KiB is 413, a wrong method 405, a wrong path 404, bad JSON 400; redirects never."""
    device = Device(cloud)
    assert device.post("/hawser/v1/auth", None, raw="x" * 70_000)[1]["error"]["code"] == "body_too_large"
    for raw in ("no JSON", "[]", '{"serial":"A","serial":"B"}', '{"a":' * 40 + "1" + "}" * 40, '{"serial":9007199254740992}'):
        assert device.post("/hawser/v1/auth", None, raw=raw)[0] == 400, raw
    assert device.post("/hawser/v1/nothing", {})[0] == 404
    connection = http.client.HTTPSConnection("localhost", cloud.auth_port, context=cloud.tls, timeout=LIMIT)
    connection.request("GET", "/hawser/v1/auth")
    assert connection.getresponse().status == 405
    connection.close()


def test_a_greedy_device_takes_no_turn_of_others(cloud):
    """[sec-6] A device that authenticates or registers over and over is told to wait; another one comes in at once."""
    greedy = Device(cloud)
    answers = [greedy.authenticate()[0] for _ in range(60)]
    assert set(answers) == {200, 429} and answers.index(429) >= 10, answers
    assert 1 <= int(greedy.headers["Retry-After"]) <= 10
    assert greedy.register()[0] == 429
    cloud.add("HW-QUIET")
    quiet = Device(cloud, "HW-QUIET")
    assert quiet.authenticate()[0] == 200 and quiet.register()[0] == 200
