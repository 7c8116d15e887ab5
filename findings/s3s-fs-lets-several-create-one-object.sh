#!/usr/bin/env bash
# s3s-fs 0.14.1: of puts at the same time that must only create, several succeed.
#
# It knows If-None-Match: *, and refuses the second of two puts with 412 if they come one after the other. So one would
# expect that of several at once one alone succeeds, as with Amazon and with moto. But it looks whether the object is there
# before it takes the body, and of eight puts at once two to eight were told 200, in 40 of 40 rounds, on two cores. Machines
# that claim work by such a put each believe that they have it. Needs cargo of Rust
# 1.92 or later, and builds for some minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT
cd "$work"
cargo install --quiet --locked s3s-fs --version 0.14.1 --features binary --root "$work/s3s" --target-dir "$work/target"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check boto3==1.44.8 'moto[s3,server]==5.2.1'
mapfile -t ports < <(venv/bin/python -c '
import socket
probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(probe.getsockname()[1] for probe in probes), sep="\n")')
mkdir -p data/bucket
s3s/bin/s3s-fs --access-key user --secret-key secret --host 127.0.0.1 --port "${ports[0]}" data > s3s.log 2>&1 &
venv/bin/moto_server -p "${ports[1]}" > moto.log 2>&1 &
for port in "${ports[@]}"; do until (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do sleep 0.2; done; done
venv/bin/python - "${ports[@]}" <<'PYTHON'
import sys
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROUNDS, AT_ONCE = 40, 8


def client(port):
    login = dict(aws_access_key_id="user", aws_secret_access_key="secret", region_name="us-east-1")
    once = Config(retries={"max_attempts": 0})
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=once, **login)


def status(s3, key):
    """Returns what is replied to a put that must only create."""
    try:
        return s3.put_object(Bucket="bucket", Key=key, Body=b"x" * 1000, IfNoneMatch="*")["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def at_once(clients, key):
    """Returns how many of them are told that they have created it."""
    start, told = threading.Barrier(len(clients)), []

    def put(s3):
        start.wait()
        told.append(status(s3, key))

    threads = [threading.Thread(target=put, args=(s3,)) for s3 in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*told} <= {200, 412}, told
    return told.count(200)


def look(name, port):
    clients = [client(port) for _ in range(AT_ONCE)]
    if "bucket" not in [each["Name"] for each in clients[0].list_buckets()["Buckets"]]:
        clients[0].create_bucket(Bucket="bucket")
    one_by_one = [status(s3, "alone") for s3 in clients[:2]]
    won = [at_once(clients, f"round-{number}") for number in range(ROUNDS)]
    print(f"{name}: one after the other {one_by_one}; {AT_ONCE} at once, how many succeeded: {won}")
    return one_by_one, won


servers = {name: look(name, port) for name, port in zip(("s3s-fs", "moto"), sys.argv[1:], strict=True)}
assert all(one_by_one == [200, 412] for one_by_one, _ in servers.values()), "puts one after the other have changed"
assert {*servers["moto"][1]} == {1}, "moto has changed"
assert max(servers["s3s-fs"][1]) > 1, "s3s-fs lets one alone create it now"
PYTHON
