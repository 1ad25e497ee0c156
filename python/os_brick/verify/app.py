# SPDX-License-Identifier: Apache-2.0
"""The routes: openapi.json says what they take and give, host.py finds it out."""

import importlib.resources
import json
import logging
import time
from typing import Any

import flask
from werkzeug import exceptions

from os_brick.verify import arguments
from os_brick.verify import host as host_module
from os_brick.verify import masking
from os_brick.verify import problems
from os_brick.verify import tokens

LOG = logging.getLogger(__name__)

#: Connection properties of one volume are a few hundred bytes.
LARGEST_BODY = 64 * 1024
_REALM = 'Bearer realm="os-brick verify"'
#: What everybody may have: it tells nothing of the host.
_PUBLIC = {
    '/': ('page/index.html', 'text/html; charset=utf-8'),
    '/page.css': ('page/page.css', 'text/css; charset=utf-8'),
    '/page.js': ('page/page.js', 'text/javascript; charset=utf-8'),
    '/tree.js': ('page/tree.js', 'text/javascript; charset=utf-8'),
    '/icon.svg': ('page/icon.svg', 'image/svg+xml'),
    '/openapi.json': ('openapi.json', 'application/json'),
}
_HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                               "require-trusted-types-for 'script'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    'Cache-Control': 'no-store',
}


def _read(name: str) -> bytes:
    return importlib.resources.files('os_brick.verify').joinpath(name).read_bytes()


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return json.loads(_read('openapi.json'))


def _json(found: Any) -> flask.Response:
    return flask.Response(json.dumps(masking.masked(found)), mimetype='application/json')


def _token_is_right(token: str) -> bool:
    scheme, _space, given = flask.request.headers.get('Authorization', '').partition(' ')
    # Compared even when the scheme is wrong: how long it takes tells nothing.
    return tokens.same(given.strip(), token) and scheme.lower() == 'bearer'


def _properties_sent(schema: dict[str, Any]) -> dict[str, Any]:
    if flask.request.mimetype != 'application/json':
        raise problems.Problem(415, 'the body must be sent as application/json')
    return arguments.checked(arguments.json_object(flask.request.get_data(cache=False)), schema)


def _add_routes(app: flask.Flask, host: host_module.Host) -> None:
    schema = document()['components']['schemas']['ConnectionProperties']

    def get(path: str, look: Any) -> None:
        app.add_url_rule(path, endpoint=path, view_func=lambda **given: _json(look(**given)), methods=['GET'],
                         provide_automatic_options=False)

    def properties() -> Any:
        take = flask.request.args.get
        return host.properties(arguments.address('ip', take('ip')),
                               arguments.boolean('multipath', take('multipath'), True))

    get('/v1/host', host.description)
    get('/v1/properties', properties)
    get('/v1/protocols', host.protocols)
    get('/v1/protocols/<protocol>/search-path', host.search_path)
    get('/v1/protocols/<protocol>/volumes', host.volumes)
    get('/v1/inventory', host.inventory)
    get('/v1/orphans', lambda: host.orphans(arguments.boolean('live', flask.request.args.get('live'), False)))
    app.add_url_rule('/v1/protocols/<protocol>/paths', methods=['POST'], provide_automatic_options=False,
                     endpoint='paths',
                     view_func=lambda protocol: _json(host.paths(protocol, _properties_sent(schema))))
    for path, (name, kind) in _PUBLIC.items():
        app.add_url_rule(path, endpoint=path, methods=['GET'], provide_automatic_options=False,
                         view_func=lambda name=name, kind=kind: flask.Response(_read(name), content_type=kind))


def _problem(status: int, detail: str, errors: Any = None, headers: Any = None) -> flask.Response:
    return flask.Response(problems.body(status, masking.without(detail, []), errors), status,
                          headers, content_type=problems.MEDIA_TYPE)


def _on_http_error(exc: exceptions.HTTPException) -> flask.Response:
    kept = {name: value for name, value in exc.get_headers() if name == 'Allow'}
    return _problem(exc.code or 500, exc.description or exc.name, headers=kept)


def _on_mistake(exc: Exception) -> flask.Response:
    LOG.exception('%s %s failed', flask.request.method, flask.request.path)
    return _problem(500, f'{type(exc).__name__}; the log of the service tells more')


def make(host: host_module.Host, token: str) -> flask.Flask:
    """Return the WSGI application.

    :param token: what every request but those for the page and the document must carry
    """
    app = flask.Flask('os_brick.verify', static_folder=None)
    app.config['MAX_CONTENT_LENGTH'] = LARGEST_BODY
    # Without this a trailing slash would be answered with a page that leads elsewhere.
    app.url_map.strict_slashes = True
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    _add_routes(app, host)

    @app.before_request
    def check_token() -> Any:
        flask.g.began = time.monotonic()
        if flask.request.path in _PUBLIC or _token_is_right(token):
            return None
        return _problem(401, 'the token is missing or wrong', headers={'WWW-Authenticate': _REALM})

    @app.after_request
    def finish(response: flask.Response) -> flask.Response:
        response.headers.update(_HEADERS)
        LOG.info('%s %s %s %d %.0f ms', flask.request.remote_addr, flask.request.method, flask.request.path,
                 response.status_code, (time.monotonic() - flask.g.get('began', time.monotonic())) * 1000)
        return response

    app.register_error_handler(problems.Problem,
                               lambda exc: _problem(exc.status, exc.detail, exc.errors, exc.headers))
    app.register_error_handler(exceptions.HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_mistake)
    return app
