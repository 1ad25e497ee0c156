# The guest's first process (through the image's stub): mounts, modules, daemons, then the agent.
# What must not live here: anything a scenario can vary (multipath.conf, targets): that is Python's, per scenario.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root

mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/lab/log /run/lab/disks /run/lock
mount -t tmpfs -o mode=755,size=8g tmpfs /run/lab/disks
hostname lab
ln -sf /proc/mounts /etc/mtab

# The timeline in the console log tells where a slow boot spent its time.
stamp() { echo "lab-init $(cut -d' ' -f1 /proc/uptime) $*"; }

stamp udevd
/lib/systemd/systemd-udevd >/run/lab/log/udevd.log 2>&1 &
modprobe -a virtio_console iscsi_tcp target_core_mod target_core_file iscsi_target_mod sd_mod dm_mod dm_multipath \
    scsi_dh_alua || stamp "a module is missing"
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
# Creates the fabric's directory, and with it the discovery settings.
mkdir -p /sys/kernel/config/target/iscsi
ip link set lo up
for last in 1 2 3 4 5 6; do ip -6 addr add "fd00:db8::$last/128" dev lo nodad; done
udevadm control --ping --timeout=20
udevadm trigger --action=add --subsystem-match=block --subsystem-match=virtio-ports
stamp agent
export PYTHONPATH=/opt/lab/code
# In the foreground: the shell reaps every orphan while it waits for its child.
python3 -m guest.agent
stamp "agent ended"
sync
poweroff -f
