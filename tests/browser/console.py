"""The admin of a live site, used without a mouse: everything is reached with Tab and found by its name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

from tests.e2e.live import LiveSite

_APP = "admin/oauth_client_attestation"
_PATIENCE = 20
#: No page here has as many stops of the Tab key.
_MOST_STOPS = 250

# What a focused element looks like, and what the same element looks like without the focus. Transitions would show
# both alike for a moment.
_FOCUS_LOOKS = """
const element = document.activeElement;
const look = () => {
    const style = getComputedStyle(element);
    return ['outlineStyle', 'outlineWidth', 'outlineColor', 'boxShadow', 'borderColor', 'backgroundColor', 'color',
            'textDecorationLine'].map(name => style[name]).join('; ');
};
const transition = element.style.transition;
element.style.transition = 'none';
const focused = look();
element.blur();
const blurred = look();
element.focus();
element.style.transition = transition;
return [focused, blurred];
"""

# What is said of the focused element, roughly; the browser knows it exactly, and takes its time.
_FOCUSED = """
const element = document.activeElement, label = element.labels?.[0]?.innerText;
const said = [label, element.ariaLabel, element.innerText, element.value].find(text => text);
return element === document.body ? '' : (said || '').trim().split('\\n')[0];
"""


class Console:
    """Somebody who operates a site with a keyboard and a screen."""

    def __init__(self, browser: Chrome, site: LiveSite) -> None:
        self.browser = browser
        self.site = site
        self._password = secrets.token_urlsafe()
        # What is waited for here is said explicitly; what is absent is absent at once.
        browser.implicitly_wait(0)

    def sign_in(self) -> None:
        """Create a superuser and sign in as they would."""
        self.site.shell(
            "from django.contrib.auth import get_user_model\n"
            f"get_user_model().objects.create_superuser('operator', password={self._password!r})"
        )
        self.browser.get(f"{self.site.url}/admin/")
        assert self.browser.title.startswith("Log in")
        self.type("operator")  # the page puts the cursor there
        self.fill("Password", self._password)
        self.leave_with(Keys.ENTER)
        assert self.heading == "Site administration"

    def open(self, page: str) -> None:
        """Open a page of the package by its address, such as ``attester/add/``."""
        self.browser.get(f"{self.site.url}/{_APP}/{page}")

    @property
    def heading(self) -> str:
        """The heading of the page."""
        headings = self.texts("#content h1, #content-start h1") or self.texts("h1")
        return headings[0]

    @property
    def messages(self) -> list[str]:
        """What the admin says of what was done last."""
        return self.texts("ul.messagelist li")

    @property
    def errors(self) -> list[str]:
        """What is wrong with what was entered."""
        return self.texts("ul.errorlist li")

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, as it is shown."""
        return self.browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText.trim())", selector
        )

    def type(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def leave_with(self, *keys: str) -> None:
        """Press keys that lead to another page, and wait for it."""
        page = self.browser.find_element(By.TAG_NAME, "html")
        self.type(*keys)
        WebDriverWait(self.browser, _PATIENCE).until(staleness_of(page))
        self.wait(lambda: self.browser.execute_script("return document.readyState") == "complete")

    def tab_to(self, name: str) -> WebElement:
        """Press Tab until the focus is, visibly, on the element with this accessible name."""
        passed = []
        for _ in range(_MOST_STOPS):
            self.type(Keys.TAB)
            passed.append(self.browser.execute_script(_FOCUSED).rstrip(": "))
            if passed[-1].lower() == name.lower():
                element = self.browser.switch_to.active_element
                assert element.accessible_name.rstrip(": ").lower() == name.lower()
                focused, blurred = self.browser.execute_script(_FOCUS_LOOKS)
                assert focused != blurred, f"{name} looks the same with and without the focus: {focused}"
                return element
        raise AssertionError(f"Tab does not lead to {name!r} but to {list(dict.fromkeys(passed))}")

    def tab_back(self) -> None:
        """Press Shift and Tab."""
        ActionChains(self.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()

    def fill(self, label: str, text: str) -> WebElement:
        """Replace what is in the field with this label."""
        field = self.tab_to(label)
        select_all = ActionChains(self.browser).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL)
        select_all.send_keys(Keys.DELETE).perform()
        # As if pasted: at once, and without Enter for a line feed.
        self.browser.execute_cdp_cmd("Input.insertText", {"text": text})
        assert field.get_property("value").splitlines() == text.splitlines()
        return field

    def activate(self, name: str, key: str = Keys.ENTER) -> None:
        """Go to what does something on this page, and press a key that has it done."""
        self.tab_to(name)
        self.type(key)

    def press(self, name: str) -> None:
        """Go to the link or button with this name, and follow it."""
        self.tab_to(name)
        self.leave_with(Keys.ENTER)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Wait until it is true, and return what it is."""
        return WebDriverWait(self.browser, _PATIENCE).until(lambda _: condition())
