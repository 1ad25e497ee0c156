# SPDX-License-Identifier: Apache-2.0
"""os_brick.version of an installed 7.1.1+rs1, with the pbr that is here and as those before 7.1 read it."""

import importlib

import pbr.version
import pytest

from os_brick import version


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    """A distribution for whoever asks for one, and the module anew for each test."""
    metadata = tmp_path / 'os_brick-7.1.1+rs1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: os-brick\nVersion: 7.1.1+rs1\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    monkeypatch.undo()
    importlib.reload(version)


@pytest.fixture(params=['7.1', '5.8'])
def any_pbr(request, monkeypatch):
    """Before 7.1 a `+` and what follows it is an error."""
    read = pbr.version.SemanticVersion.from_pip_string.__func__

    def from_pip_string(cls, text):
        if '+' in text:
            raise ValueError(f"Unknown remainder ['{text[text.index('+'):]}'] in {text!r}")
        return read(cls, text)

    if request.param == '5.8':
        monkeypatch.setattr(pbr.version.SemanticVersion, 'from_pip_string', classmethod(from_pip_string))


def test_any_pbr_reads_the_version(any_pbr):
    importlib.reload(version)
    assert version.__version__ == '7.1.1'
    assert version.version_info.version_string() == '7.1.1'
    assert version.version_info.release_string().partition('+')[0] == '7.1.1'
