"""The authorization endpoint, for requests that were pushed (RFC 9126 section 4) and for all others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.forms import AllowForm
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views import AuthorizationView
from oauthlib.oauth2.rfc6749.errors import LoginRequired

from ..core import wire
from ..models import PushedAuthorizationRequest
from ..oauth2.exchange import exchange_for
from . import store
from .answers import not_stored, refusal, with_issuer
from .refusals import PushedRequestReason, PushedRequestRefused
from .visit import Visit

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.views import AuthorizationView as _View
else:
    _View = object

#: What the consent page sends back besides the decision. Of a pushed request, none of it is read.
_PUSHED_FIELDS = frozenset(AllowForm.base_fields) - {"allow"}


class PushedAuthorizationMixin(_View):
    """For an ``AuthorizationView``: takes a ``request_uri`` of this server.

    Every parameter then comes from what was pushed. The browser contributes ``client_id``, ``request_uri`` and the
    user's decision; whatever else is in its query or its form is not looked at (RFC 9101 section 6.3). A
    ``request_uri`` that cannot be used is answered with an error page and never with a redirect.

    :ivar pushed: the request that was pushed; None where the browser brought the parameters itself.
    """

    pushed: PushedAuthorizationRequest | None = None
    _visit: Visit | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Find what was pushed before anything is asked of the user."""
        response: HttpResponseBase
        try:
            self._find_pushed(request)
            response = super().dispatch(request, *args, **kwargs)
        except PushedRequestRefused as refused:
            response = not_stored(self.error_response(refusal(refused), application=None))
        if self._visit is not None:
            self._visit.write(not_stored(response))
        return response

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Carry out the user's decision about what was pushed, whatever the form says that was.

        Whoever has not followed ``prompt=login`` has not seen the page that asks.
        """
        if self.pushed is not None:
            try:
                scopes, credentials = self.validate_authorization_request(request)
            except OAuthToolkitError as error:
                refused: HttpResponseBase = self.error_response(error, application=None)
                return refused
            if "login" in request.GET.get("prompt", "").split():
                return self._login_required()
            # The stubs let POST and GET be only what Django parsed.
            request.POST = self._pushed_form(request, scopes, credentials)  # type: ignore[assignment]  # as above
        response: HttpResponseBase = super().post(request, *args, **kwargs)
        return response

    def get_form(self, form_class: Any = None) -> Any:
        """Return the form with the reference, or the ``dpop_jkt``, for pages that send it elsewhere than to their URL.

        What was pushed stays as it is: the client is owed the very ``state``, spaces included.
        """
        form = super().get_form(form_class)
        if self.pushed is None and wire.DPOP_JKT in self.request.GET:
            # As it is: what is wrong with it is the client's to hear, and no matter where it means nothing.
            form.fields[wire.DPOP_JKT] = forms.Field(
                required=False, widget=forms.HiddenInput, initial=self.request.GET[wire.DPOP_JKT]
            )
        if self.pushed is not None:
            for name in _PUSHED_FIELDS & set(form.fields):
                form.fields[name].strip = False
            form.fields["request_uri"] = forms.CharField(
                required=False, widget=forms.HiddenInput, initial=self._reference
            )
        return form

    def validate_authorization_request(self, request: HttpRequest) -> Any:
        """Validate what was pushed."""
        with self._as_pushed(request):
            return super().validate_authorization_request(request)

    def create_authorization_response(self, request: HttpRequest, scopes: str, credentials: Any, allow: bool) -> Any:
        """Use the pushed request up and answer it, with a code or with ``access_denied``.

        :raises PushedRequestRefused: if another decision was faster; :meth:`dispatch` answers.
        """
        self._use()
        if self.pushed is None and wire.DPOP_JKT in request.POST and wire.DPOP_JKT not in request.GET:
            credentials[wire.DPOP_JKT] = request.POST[wire.DPOP_JKT]
        with self._as_pushed(request):
            return super().create_authorization_response(request, scopes, credentials, allow)

    def handle_prompt_login(self) -> HttpResponseBase:
        """Send the user to log in, once.

        A user who comes back without having logged in is answered for with ``login_required`` (OpenID Connect Core
        section 3.1.2.1): a login page that lets known users pass would send them here for ever.
        """
        if self._visit is None:
            response: HttpResponseBase = super().handle_prompt_login()
            return response
        if self._visit.was_prompted and self.request.user.is_authenticated:
            return self._login_required()
        self._visit.prompt(now=time.time())
        query = self.request.META["QUERY_STRING"]
        # django-oauth-toolkit takes the prompt out of the URL to return to, where it has to be for that.
        with _query_string(self.request, f"{query}&prompt=login"):
            response = super().handle_prompt_login()
        return response

    def redirect(self, redirect_to: str, application: Any) -> Any:
        """Send the browser back to the client; errors get the ``iss`` too (RFC 9207 section 2)."""
        if self.pushed is not None and oauth2_settings.COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS:
            redirect_to = with_issuer(redirect_to, oauth2_settings.oauth2_authorization_server_issuer(self.request))
        return super().redirect(redirect_to, application)

    def _find_pushed(self, request: HttpRequest) -> None:
        source = request.GET if "request_uri" in request.GET else request.POST
        if "request_uri" not in source:
            return
        references, client_ids = source.getlist("request_uri"), source.getlist("client_id")
        if len(references) != 1 or len(client_ids) != 1:
            raise PushedRequestRefused(PushedRequestReason.UNKNOWN)
        now = time.time()
        pushed = store.find(references[0], client_ids[0])
        visit = Visit(request, pushed)
        if now <= pushed.valid_until:
            visit.arrive(now=now)
        elif not visit.goes_on(now=now):
            raise PushedRequestRefused(PushedRequestReason.EXPIRED, pushed.application_id)
        self.pushed, self._visit, self._reference = pushed, visit, references[0]
        exchange = exchange_for(request)
        exchange.pushed, exchange.pushed_by = True, pushed.instance
        # As above: from here on the view sees what was pushed.
        request.GET = visit.query()  # type: ignore[assignment]  # as above

    @contextmanager
    def _as_pushed(self, request: HttpRequest) -> Iterator[None]:
        """Show oauthlib what was pushed and nothing else: it reads the query string and the form.

        For as long as it looks only. The URL that the user returns to after logging in is the one with the
        reference; with the parameters in it, they could be changed.
        """
        if self.pushed is None:
            yield
            return
        form = request.POST
        request.POST = QueryDict()
        try:
            with _query_string(request, request.GET.urlencode()):
                yield
        finally:
            request.POST = form

    def _pushed_form(self, request: HttpRequest, scopes: list[str], credentials: dict[str, Any]) -> QueryDict:
        """Return what the consent page sends, with every field that repeats the request taken from the push."""
        self.oauth2_data = {**credentials, "scopes": scopes, "resource": " ".join(request.GET.getlist("resource"))}
        if "claims" in credentials:
            self.oauth2_data["claims"] = json.dumps(credentials["claims"])
        values = self.get_initial()
        form = request.POST.copy()
        for name in _PUSHED_FIELDS:
            form.pop(name, None)
            if values.get(name):
                form[name] = values[name]
        return form

    def _use(self) -> None:
        """Use the pushed request up, if there is one.

        :raises PushedRequestRefused: if it is.
        """
        if self.pushed is not None and self._visit is not None:
            self._visit.end()
            store.use(self.pushed)

    def _login_required(self) -> HttpResponseBase:
        _, credentials = self.validate_authorization_request(self.request)
        self._use()
        application = get_application_model().objects.get(client_id=credentials["client_id"])
        error = OAuthToolkitError(LoginRequired(state=credentials["state"]), redirect_uri=credentials["redirect_uri"])
        response: HttpResponseBase = self.error_response(error, application)
        return response


class PushedAuthorizationView(PushedAuthorizationMixin, AuthorizationView):
    """The authorization endpoint of sites without a view of their own."""


@contextmanager
def _query_string(request: HttpRequest, query: str) -> Iterator[None]:
    original = request.META["QUERY_STRING"]
    request.META["QUERY_STRING"] = query
    try:
        yield
    finally:
        request.META["QUERY_STRING"] = original
