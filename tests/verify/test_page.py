# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: what it shows, live, on a desk and on a phone, and what it keeps to itself."""

import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import browser as browsers
import machine
import service as services

VIEWS = {'desktop': (browsers.DESKTOP, False), 'desktop-dark': (browsers.DESKTOP, True),
         'phone': (browsers.PHONE, False), 'phone-dark': (browsers.PHONE, True)}

#: What a reader with weak eyes needs: each text against what is behind it, as WCAG 2 counts.
CONTRAST = '''
const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const linear = (v) => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
const light = (c) => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
const back = (one) => {
  for (; one; one = one.parentElement) {
    const c = parse(getComputedStyle(one).backgroundColor);
    if (c[3] === 1) return c;
  }
  return [255, 255, 255, 1];
};
const poor = [];
for (const one of document.querySelectorAll('body *')) {
  const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !one.checkVisibility() || one.closest('.hidden, .skip')) continue;
  const a = light(parse(getComputedStyle(one).color)), b = light(back(one));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) poor.push(`${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
}
return poor;
'''

#: What a screen reader needs: names of controls, order of headings, no identifier twice.
SEMANTICS = '''
const found = [];
for (const one of document.querySelectorAll('button, input, a, summary')) {
  const name = one.labels?.[0]?.textContent || one.getAttribute('aria-label') || one.textContent;
  if (!name.trim()) found.push(`without a name: ${one.outerHTML}`);
}
let last = 0;
for (const one of document.querySelectorAll('h1, h2, h3, h4')) {
  const level = Number(one.tagName[1]);
  if (level > last + 1) found.push(`after h${last}: ${one.outerHTML}`);
  last = level;
}
const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`twice: ${id}`);
for (const name of ['header', 'main', 'footer', 'h1']) {
  if (document.querySelectorAll(name).length !== 1) found.push(`not one ${name}`);
}
if (document.documentElement.lang !== 'en') found.push('no language');
return found;
'''


@pytest.fixture(scope='module')
def desktop():
    with browsers.opened() as browser:
        yield browser


@pytest.fixture
def page(desktop, service):
    """A window that shows the host, of a reader who has just come."""
    desktop.driver.get('about:blank')
    desktop.requests()
    desktop.complaints()
    desktop.log_in(service.url, service.token)
    return desktop


@pytest.mark.parametrize('name', VIEWS)
def test_the_host_can_be_read_at_a_desk_and_on_a_phone_by_day_and_by_night(service, name):
    kind, dark = VIEWS[name]
    with browsers.opened(kind, dark) as browser:
        browser.come(service.url)
        browser.screenshot(f'token-{name}')
        assert browser.script(CONTRAST) == []
        browser.log_in(service.url, service.token)
        browser.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser.screenshot(name)
        assert browser.script(CONTRAST) == []
        assert browser.script(SEMANTICS) == []
        wide = browser.script('return [document.documentElement.scrollWidth, innerWidth]')
        assert wide[0] <= wide[1] == kind[0]
        narrow = [one.size['height'] for one in browser.all('button, summary, input') if one.is_displayed()]
        assert min(narrow) >= 24
        assert browser.complaints() == []


def test_it_shows_the_tree_with_states_and_findings(page):
    assert page.texts('.volume summary h3') == ['dm-0', 'dm-3', 'dm-4', 'nvme1n1']
    assert page.texts('.volume summary .pill') == ['2 of 2 paths up', '1 of 2 paths up', 'no paths', '1 of 2 paths up']
    # What works is folded, what does not is open.
    assert page.script("return [...document.querySelectorAll('.volume')].map((one) => one.open)") == [
        False, True, True, True]
    page.find('.volume summary').click()
    rows = [re.sub(r'\s+', ' ', text) for text in page.texts('.volume:first-child .row')]
    target = machine.IQN + '00000001'
    assert rows == [
        f'sda iscsi up: running, LOGGED_IN 10.0.0.1:3260 session1 1:0:0:1 {target}',
        f'sdb iscsi up: running, LOGGED_IN 10.0.0.2:3260 session2 2:0:0:1 {target}',
        'link /dev/disk/by-id/os-brick+dev+dm-0', 'dm-1 luks crypt-dm-0',
        'dm-2 lvm vg-data mounted on /var/lib/nova/mnt/data']
    assert page.texts('.finding h3') == ['dm-4', '/dev/disk/by-id/os-brick+dev+dm-9', 'session5', 'session6']
    assert page.texts('.tile') == ['Volumes\n4', 'Paths up\n4 / 6', 'Connections\n8', 'Findings\n4']


def test_what_changes_on_the_host_appears_by_itself_and_what_was_open_stays_open(page, host):
    page.find('.volume summary').click()
    page.find('.finding summary').click()
    device, _, sessions = host.attach(8)
    page.see('.volume h3', device)
    assert page.script("return document.querySelector('.volume').open")
    assert page.script("return document.querySelector('.finding').open")
    # The focus of a keyboard user is where it was.
    assert page.script("return document.activeElement.closest('[data-key]').dataset.key") == (
        'finding map_without_paths dm-4')
    host.set_session_state(sessions[1], 'FAILED')
    page.wait(lambda: page.texts('.volume summary .pill').count('1 of 2 paths up') == 3, 'the path that is down')
    assert page.find('#news').get_attribute('textContent') == '5 volumes, 4 findings'


def test_it_only_talks_to_the_service_and_the_content_policy_has_nothing_to_refuse(page, service):
    page.find('#ask').click()
    page.see('#findings-note', 'The disks were asked at')
    asked = page.requests()
    assert {url for url in asked if not url.startswith(service.url + '/')} == set()
    assert {url.removeprefix(service.url) for url in asked} >= {'/', '/page.js', '/v1/inventory', '/v1/orphans?live=true'}
    assert page.complaints() == []


def test_the_content_policy_holds(page):
    """What somebody would smuggle in does not run and does not leave."""
    done = page.driver.execute_async_script('''
        const done = arguments[0], result = [];
        document.addEventListener('securitypolicyviolation', (event) => result.push(event.effectiveDirective));
        const script = document.createElement('script');
        try { script.textContent = 'window.smuggled = 1'; } catch { result.push('trusted-types'); }
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:1/leak';
        document.body.append(image);
        fetch('http://127.0.0.1:1/leak').catch(() => setTimeout(() => done([result.sort(), window.smuggled ?? null]), 300));
    ''')
    assert set(done[0]) >= {'connect-src', 'img-src', 'trusted-types'}
    assert done[1] is None
    page.complaints()


def test_the_token_stays_in_the_tab(page, service):
    assert page.script('return [localStorage.length, document.cookie, location.href]') == [0, '', service.url + '/']
    assert page.script('return Object.values(sessionStorage)') == [service.token]
    assert service.token not in page.script(
        'return document.documentElement.outerHTML + document.querySelector("#token").value')
    page.driver.refresh()
    page.see('#status', 'Live')
    page.find('#leave').click()
    page.wait(lambda: page.find('#token').is_displayed(), 'the form')
    assert page.script('return sessionStorage.length') == 0
    assert page.find('#token').get_attribute('value') == ''
    assert page.texts('.volume') == []


@pytest.mark.parametrize('token, complaint', [
    ('wrong-and-long-enough', 'The service does not know this token.'),
    ('töken', 'A token has letters, digits and ._~+/- only.')])
def test_a_wrong_token_is_told(desktop, service, token, complaint):
    desktop.come(service.url)
    desktop.find('#token').send_keys(token + '\n')
    desktop.see('#login-error', complaint)
    assert desktop.script('return [sessionStorage.length, document.activeElement.id]') == [0, 'token']
    desktop.complaints()


def test_everything_can_be_done_from_the_keyboard(desktop, service):
    driver = desktop.driver
    desktop.come(service.url)

    def press(*keys):
        driver.switch_to.active_element.send_keys(*keys)

    def focused():
        return desktop.script('const one = document.activeElement; return one.id || one.innerText.split("\\n")[0]')
    press(service.token, Keys.TAB)
    assert focused() == 'Show the host'
    press(Keys.ENTER)
    desktop.see('#status', 'Live')
    assert focused() == 'main'
    reached = []
    for _ in range(30):
        press(Keys.TAB)
        reached.append(focused())
        if reached[-1] == 'dm-0':
            break
    assert reached[:2] == ['ask', 'dm-4']
    assert reached[-2:] == ['filter', 'dm-0']
    assert desktop.script("return document.querySelector('.volume').open") is False
    press(Keys.SPACE)
    desktop.wait(lambda: desktop.script("return document.querySelector('.volume').open"), 'the volume open')
    # Where the focus is can be seen.
    assert desktop.script("return getComputedStyle(document.activeElement).outlineStyle") == 'solid'


def test_volumes_are_filtered_and_the_page_can_be_paused(page):
    page.find('#filter').send_keys('VG-DATA')
    page.wait(lambda: page.texts('.volume h3') == ['dm-0'], 'one volume')
    page.find('#filter').send_keys('x')
    page.see('#volumes', 'No volume with “VG-DATAx”.')
    page.find('#filter').clear()
    page.find('#filter').send_keys(Keys.BACKSPACE)
    page.find('#pause').click()
    page.see('#status', 'Paused at')
    assert page.find('#pause').get_attribute('aria-pressed') == 'true'
    page.find('#pause').click()
    page.see('#status', 'Live')


def test_names_that_storage_chose_are_text(tmp_path, desktop):
    """An attacker who names a target or a map gets no markup into the page."""
    evil = '<img src=x onerror=document.title=1>'
    tree = machine.Machine(tmp_path / 'host')
    tree.add_disk(tree.log_in('10.0.0.1:3260', f'iqn.2010-10.org:{evil}'), machine.identity(1))
    tree.add_mapper(evil.replace(' ', '\t'), f'mpath-{machine.identity(2)}', [])
    with services.running(tree.root) as service:
        desktop.log_in(service.url, service.token)
        desktop.see('.volume', evil.split()[0])
        assert desktop.all('main img') == []
        assert desktop.complaints() == []


def test_a_service_that_goes_is_told_and_one_that_comes_back_is_shown(tmp_path, desktop):
    tree = machine.compute_host(tmp_path / 'host')
    with services.running(tree.root) as service:
        desktop.log_in(service.url, service.token)
        port = service.port
    desktop.see('#banner', 'No answer since')
    assert 'stale' in desktop.find('#view').get_attribute('class')
    desktop.screenshot('no-answer')
    with services.running(tree.root, '--port', str(port)):
        desktop.see('#status', 'Live')
        assert not desktop.find('#banner').is_displayed()
        assert len(desktop.driver.find_elements(By.CSS_SELECTOR, '.volume')) == 4
    desktop.complaints()
