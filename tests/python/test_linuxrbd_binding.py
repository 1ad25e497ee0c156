# SPDX-License-Identifier: Apache-2.0
"""The real rados and rbd modules without a cluster: what they take, and that their errors are understood.

Runs where the distribution's python3-rados and python3-rbd are installed.
"""

import os

import pytest

from os_brick import ceph
from os_brick import exception
from os_brick.initiator import linuxrbd
from os_brick.initiator.connectors import rbd as rbd_connector

rados = pytest.importorskip('rados')
rbd = pytest.importorskip('rbd')

#: Nobody listens on port 1; the time limit reaches the file with the keyring.
PROPS = {'name': 'volumes/v1', 'hosts': ['127.0.0.1'], 'ports': ['1'], 'cluster_name': 'ceph', 'auth_username': 'cinder',
         'keyring': 'client_mount_timeout = 1\n[client.cinder]\n\tkey = AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==\n'}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(ceph.tempfile, 'tempdir', str(tmp_path))
    return tmp_path


def test_they_are_the_ones_used():
    assert (linuxrbd.rados, linuxrbd.rbd) == (rados, rbd)
    assert issubclass(rbd.InvalidArgument, rbd.Error)


def test_the_image_has_what_the_file_uses():
    assert [name for name in ('size', 'read', 'write', 'flush', 'close', 'require_not_closed')
            if not hasattr(rbd.Image, name)] == []
    assert hasattr(rados.Ioctx, 'set_namespace')


@pytest.mark.parametrize('user', ['cinder', None])
def test_rb_06_nobody_answers(temporary, user):
    with pytest.raises(exception.BrickException) as caught:
        rbd_connector.RBDConnector(None).connect_volume({**PROPS, 'auth_username': user})
    assert str(caught.value) == 'Error connecting to ceph cluster.'
    assert isinstance(caught.value.__cause__, rados.Error)
    assert os.listdir(temporary) == []


def test_no_conf(tmp_path):
    with pytest.raises(exception.BrickException) as caught:
        linuxrbd.RBDClient('cinder', 'volumes', conffile=str(tmp_path / 'missing'))
    assert isinstance(caught.value.__cause__, rados.ObjectNotFound)
