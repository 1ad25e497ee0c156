# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, driven by its own driver, that talks to loopback alone."""

import base64
import contextlib
import json
import pathlib
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = '/usr/bin/chromium'
DRIVER = '/usr/bin/chromedriver'
SCREENSHOTS = pathlib.Path(__file__).parents[2] / 'target' / 'verify' / 'screenshots'
PHONE = (390, 844, True)
DESKTOP = (1280, 900, False)
PATIENCE = 40


class Browser:
    """One window; what it asks of whom is kept."""

    def __init__(self, driver, kind, dark):
        self.driver = driver
        width, height, mobile = kind
        driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
            'width': width, 'height': height, 'deviceScaleFactor': 2, 'mobile': mobile})
        driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'},
            {'name': 'prefers-reduced-motion', 'value': 'reduce'}]})

    def wait(self, condition, what):
        """Wait until a function of this browser gives something, and return it."""
        return WebDriverWait(self.driver, PATIENCE, 0.1).until(lambda _: condition(), f'never seen: {what}')

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.script('return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)', selector)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def see(self, selector, text):
        """Wait for an element with this text."""
        self.wait(lambda: any(text in found for found in self.texts(selector)), f'{selector} with {text!r}')

    def come(self, url):
        """Open the page as somebody who was never there."""
        # Where no script runs that would put the token of the page before back.
        self.driver.get(url + '/icon.svg')
        self.script('sessionStorage.clear()')
        self.driver.get(url + '/')
        self.wait(lambda: self.script('return document.activeElement.id') == 'token', 'the focus in the form')

    def log_in(self, url, token):
        self.come(url)
        self.find('#token').send_keys(token + '\n')
        self.see('#status', 'Live')

    def screenshot(self, name):
        """Keep what the whole page looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        size = self.driver.execute_cdp_cmd('Page.getLayoutMetrics', {})['cssContentSize']
        self.driver.execute_cdp_cmd('Emulation.setScrollbarsHidden', {'hidden': True})
        taken = self.driver.execute_cdp_cmd('Page.captureScreenshot', {
            'captureBeyondViewport': True,
            'clip': {'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'], 'scale': 1}})
        (SCREENSHOTS / f'{name}.png').write_bytes(base64.b64decode(taken['data']))

    def complaints(self):
        """What the console says: errors, what the content policy refused."""
        found = [entry['message'] for entry in self.driver.get_log('browser') if entry['level'] in ('SEVERE', 'WARNING')]
        # What the browser itself asks for when it is at a file that names no icon, see `come`.
        return [message for message in found if '/favicon.ico ' not in message]

    def requests(self):
        """The URLs that were asked for."""
        messages = [json.loads(entry['message'])['message'] for entry in self.driver.get_log('performance')]
        return [message['params']['request']['url'] for message in messages
                if message['method'] == 'Network.requestWillBeSent'
                and message['params']['request']['url'].startswith(('http', 'ws'))]


@contextlib.contextmanager
def opened(kind=DESKTOP, dark=False):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    with tempfile.TemporaryDirectory() as profile:
        for flag in ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
                     '--disable-background-networking', '--disable-component-update', '--disable-sync',
                     '--disable-dev-shm-usage', '--force-color-profile=srgb', '--hide-scrollbars',
                     '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', f'--user-data-dir={profile}'):
            options.add_argument(flag)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield Browser(driver, kind, dark)
        finally:
            driver.quit()
