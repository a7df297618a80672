"""The doors into django-oauth-toolkit."""
