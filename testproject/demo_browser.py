"""A user's browser without a window: cookies, forms and redirects, each exchange shown."""

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from demo_display import show_visit

TIMEOUT = 30


class Browser:
    """Follow a site's redirects and fill in its forms.

    :ivar location: where the last answer sends the browser, if that is outside the site.
    :ivar form: what the user reads in the form of the page.
    """

    def __init__(self, site_url: str) -> None:
        self._site_url = site_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._page_url = ""
        self._hidden: dict[str, str] = {}
        self.location = ""
        self.form = ""

    def open(self, url: str) -> None:
        """Visit a page."""
        self._follow(self._session.get(url, allow_redirects=False, timeout=TIMEOUT))

    def submit(self, **entries: str) -> None:
        """Send the form of the page with what the user enters."""
        form = {**self._hidden, **entries}
        response = self._session.post(self._page_url, data=form, allow_redirects=False, timeout=TIMEOUT)
        self._follow(response, entries)

    def _follow(self, response: requests.Response, entries: Mapping[str, str] | None = None) -> None:
        while True:
            page = _Form(response.text)
            show_visit(response, entered=entries or {}, page=page.text)
            entries = None
            target = urljoin(response.url, response.headers.get("Location", ""))
            if not response.is_redirect or not target.startswith(f"{self._site_url}/"):
                break
            response = self._session.get(target, allow_redirects=False, timeout=TIMEOUT)
        self._page_url, self._hidden, self.form = response.url, page.hidden, page.text
        self.location = target if response.is_redirect else ""


class _Form(HTMLParser):
    """What a page's form sends by itself, the CSRF token for example, and what a user reads in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self._within = False
        self._words: list[str] = []
        self.feed(page)
        self.text = " ".join(self._words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._within = True
        elif tag == "input" and attributes.get("type") == "hidden":
            self.hidden[attributes["name"]] = attributes.get("value", "")
        elif tag == "input" and attributes.get("type") == "submit":
            self._words.append(f"[{attributes.get('value', '')}]")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self._words.extend(data.split())
