# SPDX-License-Identifier: Apache-2.0
"""The version of an installed 2.8.0+rs1, without which `cinder` does not start: as pbr before 7.1 reads it, too."""

import importlib

import pbr.version

from brick_cinderclient_ext import version


def test_an_older_pbr_reads_the_version(monkeypatch, tmp_path):
    metadata = tmp_path / 'python_brick_cinderclient_ext-2.8.0+rs1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: python-brick-cinderclient-ext\nVersion: 2.8.0+rs1\n')
    read = pbr.version.SemanticVersion.from_pip_string.__func__

    def from_pip_string(cls, text):
        if '+' in text:
            raise ValueError(f"Unknown remainder ['{text[text.index('+'):]}'] in {text!r}")
        return read(cls, text)

    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        patched.setattr(pbr.version.SemanticVersion, 'from_pip_string', classmethod(from_pip_string))
        importlib.reload(version)
        assert version.__version__ == '2.8.0'
    importlib.reload(version)
