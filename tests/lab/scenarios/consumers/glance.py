"""Glance's cinder store: an image in a volume and out of it, and a volume that grows while it is written.

The connection_info is flat: its data lie beside driver_volume_type and attachment_id. Detaches are forced.
"""

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 150
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
TEXT, REPEAT = 'an image of the lab;', 200_000


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=2 if multipath else 1, luns={1: None, 2: None})
    connections = {disk.serial: target.properties(lun, plural=multipath) for lun, disk in target.luns.items()}
    conf = {'glance_store.cinder_use_multipath': multipath, 'glance_store.cinder_enforce_multipath': multipath,
            'glance_store.rootwrap_config': '/etc/glance/rootwrap.conf'}
    caller = lab.caller(user='glance', service='glance', conf=conf, lock_path=lab.make_lock_path('glance', 'glance'))
    service = caller.remote(caller.start('guest.services.glance:ImageService', connections, keep=True).wait())
    image(lab, service, target.luns[1])
    grow(lab, service, target.luns[2])


def image(lab, service, disk):
    answer = service.add('image-1', TEXT, REPEAT)
    lab.measured('store an image', answer.seconds)
    url, size, _checksum = answer.value
    lab.equal('where it is', (url, size), (f'cinder://{disk.serial}', len(TEXT) * REPEAT))
    lab.check('the array holds it', disk.content(0, 3 * len(TEXT)) == TEXT.encode() * 3)
    gone(lab, 'after the upload')
    answer = service.read(url, TEXT, REPEAT)
    lab.measured('read it', answer.seconds)
    lab.equal('the same image comes back', answer.value, (True, len(TEXT) * REPEAT))
    gone(lab, 'after the download')
    lab.equal('Cinder was told', [call for call in service.calls().value if 'update' not in call],
              ['attachment create', 'attachment complete', 'attachment delete'] * 2)


def grow(lab, service, disk):
    lab.equal('the size', service.open(disk.serial).value, disk.size)
    disk.grow('96M')
    lab.equal('the new size', service.extend_and_write(disk.serial, 'the end').value, disk.size)
    service.close()
    lab.equal('written at the new end', disk.content(disk.size - 7, 7), b'the end')
    gone(lab, 'after the extension')


def gone(lab, when):
    lab.equal(f'no device {when}', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal(f'no session {when}', lab.host.sessions(), {})
