"""Answers requests as Django REST framework does, so that a test can compare: real views and throttles, and a clock that it is told.

Lines in:  policies NAME:KIND:LIMIT:UNIT ...   begins anew; KIND is anon or user, UNIT one of s m h d
           TICK CLIENT NAME ...                a request at TICK/1024 s of `u7` or `a192.0.2.1` to a view with these throttles
Lines out: the status, and Retry-After if there is one, for each request
"""

import sys

import django
from django.conf import settings

settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
)
django.setup()

from django.core.cache import cache
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.throttling import AnonRateThrottle, UserRateThrottle
from rest_framework.views import APIView

KINDS = {"anon": AnonRateThrottle, "user": UserRateThrottle}
now = 0.0


class User:
    is_authenticated = True

    def __init__(self, pk):
        self.pk = pk


def throttle_class(spec):
    name, kind, limit, unit = spec.split(":")
    body = {"scope": name, "rate": f"{limit}/{unit}", "timer": staticmethod(lambda: now)}
    return name, type(name, (KINDS[kind],), body)


def ask(client, throttles):
    view = type("View", (APIView,), {"throttle_classes": throttles, "get": lambda self, request: Response("ok")})
    request = APIRequestFactory().get("/", REMOTE_ADDR=client[1:] if client[0] == "a" else "192.0.2.1")
    if client[0] == "u":
        force_authenticate(request, user=User(int(client[1:])))
    response = view.as_view()(request)
    return f"{response.status_code} {response.get('Retry-After', '')}".strip()


classes = {}
for line in sys.stdin:
    first, *rest = line.split()
    if first == "policies":
        cache.clear()
        classes = dict(map(throttle_class, rest))
        continue
    now = int(first) / 1024
    print(ask(rest[0], [classes[name] for name in rest[1:]]))
