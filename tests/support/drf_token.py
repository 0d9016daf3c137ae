"""Reads Authorization headers as Django REST framework does, so that a test can compare.

Lines in:  the header's bytes in hexadecimal
Lines out: `anonymous`; `token` and its bytes in hexadecimal; or the sentence of the 401
"""

import sys
from types import SimpleNamespace

import django
from django.conf import settings

settings.configure()
django.setup()

from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class Authentication(TokenAuthentication):
    def authenticate_credentials(self, key):
        return "token " + key.encode().hex()


for line in sys.stdin:
    request = SimpleNamespace(META={"HTTP_AUTHORIZATION": bytes.fromhex(line)})
    try:
        print(Authentication().authenticate(request) or "anonymous")
    except AuthenticationFailed as failure:
        print(failure.detail)
