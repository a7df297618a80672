"""Give a fresh database an admin, and print the password once."""

import os
import secrets

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
django.setup()

from django.conf import settings  # noqa: E402 (models need a set up Django)
from django.contrib.auth import get_user_model  # noqa: E402 (as above)


def main() -> None:
    users = get_user_model().objects
    print(f"Admin site: {settings.PUBLIC_URL}/admin/")
    admin = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if admin is None:
        password = secrets.token_urlsafe(12)
        admin = users.create_superuser("admin", password=password)
        print(f"Log in as {admin.get_username()} with the password {password}")
    else:
        name = admin.get_username()
        print(f"Log in as {name}; for a new password: manage.py changepassword {name}")


if __name__ == "__main__":
    main()
