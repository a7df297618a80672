"""An authorization server and a resource server in one site, to try the package out.

From the environment: DATABASE_URL, CACHE_URL, PUBLIC_URL, SECRET_KEY, DEBUG. Without any of them it is a site
for this machine, on SQLite, at http://127.0.0.1:8000.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
BEHIND_TLS = urlsplit(PUBLIC_URL).scheme == "https"

# Django's prefix for a key that is no secret: check --deploy refuses it.
SECRET_KEY = os.environ.get("SECRET_KEY", "django-insecure-and-public-for-testproject-on-one-machine-only")
DEBUG = os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
ALLOWED_HOSTS = [urlsplit(PUBLIC_URL).hostname, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_SECURE = BEHIND_TLS

INSTALLED_APPS = [
    "oauth_client_attestation",
    "oauth2_provider",
    "rest_framework",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Outside everything that may answer by itself, since it puts headers on every response of DOT's endpoints
    # and turns into an answer the errors that DOT raises and does not catch.
    "oauth_client_attestation.middleware.ClientAttestationMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"
ASGI_APPLICATION = "testproject.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database(url: str | None) -> dict:
    if url:
        config = dict(dj_database_url.parse(url))
    else:
        config = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # A transaction that starts as a reader and then writes fails at once when another process wrote in
        # between, whatever the timeout; IMMEDIATE makes it wait its turn instead.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "timeout": 20,
            **config.get("OPTIONS", {}),
        }
    return config


DATABASES = {"default": database(os.environ.get("DATABASE_URL"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHE_URL = os.environ.get("CACHE_URL") or "locmem://"
SHARED_CACHE = urlsplit(CACHE_URL).scheme in {"redis", "rediss"}
if SHARED_CACHE:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}}
elif CACHE_URL == "locmem://":
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
else:
    raise ImproperlyConfigured("CACHE_URL is a redis:// or rediss:// URL, or unset for local memory.")

OAUTH_CLIENT_ATTESTATION = {
    "ISSUER": PUBLIC_URL,
    # Proofs for the API are none for the authorization server. Some of its endpoints want an attestation.
    "RESOURCE": f"{PUBLIC_URL}/api",
    "RESOURCE_ATTESTATION": "optional",
    # Once there is an attester of that name, it may attest registrations, and clients that nobody has entered.
    "REGISTRATION_ATTESTERS": ["Registrar"],
    "METADATA_DOCUMENT_ATTESTERS": ["Registrar"],
}
if SHARED_CACHE:
    OAUTH_CLIENT_ATTESTATION["REPLAY_STORE"] = "oauth_client_attestation.replay.cache.CacheReplayStore"

OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "oauth_client_attestation.oauth2.validators.AttestationOAuth2Validator",
    "OAUTH2_BACKEND_CLASS": "oauth_client_attestation.oauth2.backends.AttestationOAuthLibCore",
    # DOT takes the issuer of both its metadata documents from here, OpenID Connect or not.
    "OIDC_ISS_ENDPOINT": PUBLIC_URL,
    "PKCE_REQUIRED": True,
    "SCOPES": {
        "read": "Read your data",
        "write": "Change your data",
        "introspection": "Look into tokens",
    },
    # Not all of them, DOT's default: a client that names no scope would get "introspection" too.
    "DEFAULT_SCOPES": ["read"],
    # And whoever may register does not get it for the asking.
    "SCOPES_BACKEND_CLASS": "testproject.scopes.Scopes",
    "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
    "OAUTH_DEVICE_VERIFICATION_URI": f"{PUBLIC_URL}/o/device/",
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # Clients may register themselves if somebody vouches for them.
    "DCR_ENABLED": True,
    "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth_client_attestation.registration.permission.HasTrustedAttestation"],
    # For whoever adds "CIMD_ENABLED", which lets this machine fetch documents from anywhere.
    "CIMD_METADATA_FETCHER": "oauth_client_attestation.registration.documents.AttestedDocumentFetcher",
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
}

REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "oauth2_provider:authorized-token-list"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

STATIC_URL = "static/"
# Straight from the packages, so that the admin has its style without collectstatic.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "oauth_client_attestation": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Django mails the traceback of a server error to the admins, of whom there are none here.
        "django.request": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}

SILENCED_SYSTEM_CHECKS = [
    # HSTS and the redirect to HTTPS are the business of the proxy that has the certificate.
    "security.W004",
    "security.W008",
    # Every grant that DOT has is here to be tried, the password grant and loopback redirects included.
    "oauth2_provider.W002",
    "oauth2_provider.W008",
    # DOT's default way to store tokens, which is what most sites have.
    "oauth2_provider.W006",
]
