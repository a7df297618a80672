"""What a page must have for people who do not see it, or not all of it at once."""

from __future__ import annotations

from typing import Final

from selenium.webdriver import Chrome

COLOUR_SCHEMES: Final = ("light", "dark")

_PROBLEMS: Final = """
const problems = [], shown = element => element.checkVisibility() && element.getClientRects().length > 0;
const describe = element => element.cloneNode(false).outerHTML.slice(0, 160);
const all = selector => [...document.querySelectorAll(selector)];

if (!document.documentElement.lang) problems.push('The page does not say in which language it is.');
if (!document.title.trim()) problems.push('The page has no title.');
for (const image of all('img')) if (!image.hasAttribute('alt')) problems.push('No alt: ' + describe(image));
for (const drawing of all('svg').filter(shown)) {
    const hidden = drawing.closest('[aria-hidden=true]') || drawing.closest('button, a')?.innerText.trim();
    const named = drawing.getAttribute('role') === 'img' && drawing.getAttribute('aria-label');
    if (!hidden && !named) problems.push('Neither hidden nor named: ' + describe(drawing));
}
for (const head of all(arguments[0]).filter(element => element.matches('thead th')))
    if (!head.scope) problems.push('No scope: ' + describe(head));
const ids = all('[id]').map(element => element.id);
for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) problems.push('Twice: id=' + id);
for (const element of all('[aria-labelledby], [aria-describedby]').filter(element => !element.closest('.tabular')))
    for (const id of ['aria-labelledby', 'aria-describedby']
            .flatMap(name => (element.getAttribute(name) || '').split(' ')).filter(Boolean))
        if (!document.getElementById(id)) problems.push(`There is no ${id}: ` + describe(element));

const width = document.documentElement.clientWidth, wide = document.documentElement.scrollWidth;
if (wide > width) problems.push(`${wide} px wide in a window of ${width} px`);
for (const element of all('#content *')) {
    const style = getComputedStyle(element);
    const clips = ['hidden', 'clip'].includes(style.overflowX) && style.clip === 'auto' && element.clientWidth > 1;
    if (clips && element.tagName !== 'INPUT' && shown(element) && element.scrollWidth > element.clientWidth + 1)
        problems.push('Cut off: ' + describe(element));
}
for (const list of all('.results'))
    if (width > 1200 && list.scrollWidth > list.clientWidth) problems.push('A column of the list is out of sight.');

const place = element => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
};
for (const heading of all('#content h1, #content h2').filter(shown))
    for (const tool of all('.object-tools a, .object-tools button').filter(shown)) {
        const [a, b] = [place(heading), tool.getBoundingClientRect()];
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
            problems.push(`${tool.innerText} lies on ${heading.innerText}`);
    }
return problems;
"""

# The colours that text really has, on the first background behind it that is not transparent (WCAG 2.2, 1.4.3).
_CONTRASTS: Final = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const luminance = colour => {
    const [r, g, b] = channels(colour).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = element => {
    for (; element; element = element.parentElement) {
        const colour = getComputedStyle(element).backgroundColor, alpha = channels(colour)[3];
        if (alpha === undefined || alpha > 0) return colour;
    }
    return getComputedStyle(document.documentElement).getPropertyValue('color-scheme') === 'dark'
        ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)';
};
const seen = {};
for (const element of document.querySelectorAll(arguments[0])) {
    const text = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE)
        .map(node => node.data.trim()).join('');
    if (!text || !element.checkVisibility() || !element.getClientRects().length) continue;
    const pair = [getComputedStyle(element).color, background(element)];
    const [dark, light] = pair.map(luminance).sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) seen[pair] = `${contrast.toFixed(1)}: ${pair.join(' on ')}: ${text.slice(0, 40)}`;
}
return Object.values(seen);
"""


# Beside what Django leaves without a name: boxes that delete a row of an inline, links that change the sorting of a
# list or open a calendar, and a combobox without a choice.
_USABLE: Final = """
return [...document.querySelectorAll('input, select, textarea, button, a[href], [tabindex="0"]')].filter(element =>
    element.closest('#content') && element.checkVisibility() && element.type !== 'hidden' &&
    !element.closest(
        'td.delete, .sortoptions, .datetimeshortcuts, .select2, .select2-hidden-accessible'));
"""

# Otherwise colours are on their way from one scheme to the other when they are looked at.
_AT_ONCE: Final = """
const style = document.createElement('style');
style.textContent = '* { transition: none !important; }';
document.head.append(style);
"""


def show(browser: Chrome, *, width: int, scheme: str, height: int = 900) -> None:
    """Give the window a width in pixels, and the user a preference: ``light`` or ``dark``."""
    browser.execute_script(_AT_ONCE)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})


def unnamed(browser: Chrome) -> list[str]:
    """Return what can be used on the page and has no name to say aloud."""
    return [
        f"No name: {element.get_attribute('outerHTML')[:160]}"
        for element in browser.execute_script(_USABLE)
        if not element.accessible_name.strip()
    ]


def problems(browser: Chrome, *, ours: str) -> list[str]:
    """Return what is wrong with the page as it is shown now, names aside.

    :param ours: a selector of the elements whose headings and contrast are our business and not Django's.
    """
    faint = [f"Contrast {contrast}" for contrast in browser.execute_script(_CONTRASTS, ours)]
    return browser.execute_script(_PROBLEMS, ours) + faint
