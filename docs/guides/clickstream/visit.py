"""Visitors of the shop: each is a session that walks from page to page, one request after the other.

    visit.py HOST:PORT SESSIONS REQUESTS-EACH [SEED]
"""

import http.client
import random
import sys
from concurrent.futures import ThreadPoolExecutor

PAGES = ["/", "/search", "/product/7", "/product/8", "/product/9", "/basket", "/checkout", "/sold-out/3"]


def walk(address, session, requests, seed):
    choices = random.Random(seed)
    connection = http.client.HTTPConnection(address)
    for _ in range(requests):
        headers = {"Cookie": f"session={session}", "User-Agent": "guide/1.0"}
        connection.request("GET", choices.choice(PAGES), headers=headers)
        connection.getresponse().read()
    connection.close()


def main():
    address, sessions, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    with ThreadPoolExecutor(8) as visitors:
        walks = [visitors.submit(walk, address, f"s{seed}-{n}", requests, seed * 1000 + n) for n in range(sessions)]
        for one in walks:
            one.result()


if __name__ == "__main__":
    main()
