"""A client made of nothing but a socket: `python -I -S raw_client.py SOCKET HOW KEY`, to be killed where it stands.

`half` sends half of a submit, `whole` all of it without reading the reply, `stream` follows job 1. Says `there` on
standard output once it is where it shall be killed.
"""

import json
import socket
import sys
import time

path, how, key = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.connect(path)
if how == "stream":
    connection.sendall(b"GET /v1/jobs/1/events HTTP/1.1\r\nHost: tunesmith\r\nLast-Event-ID: 0\r\n\r\n")
    connection.recv(1000)
else:
    body = json.dumps({"key": key, "spec": {"name": "steps=1"}}).encode()
    request = b"POST /v1/jobs HTTP/1.1\r\nHost: tunesmith\r\nContent-Type: application/json\r\nContent-Length: "
    request += b"%d\r\n\r\n%s" % (len(body), body)
    connection.sendall(request if how == "whole" else request[: -len(body) // 2])
sys.stdout.write("there\n")
sys.stdout.flush()
while how == "stream" and connection.recv(10_000):
    pass
time.sleep(60)
