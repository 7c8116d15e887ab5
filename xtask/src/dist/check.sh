#!/bin/sh
# On a fresh Debian with systemd: from the package to an engine, and back to the initial state.
set -eux
cd /opt/check

listing() {
    # Files that apt, systemd and this check keep are not the package's.
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
        -o -path /opt/check -o -path /var/log -o -path /var/cache -o -path /var/lib/apt \
        -o -path /var/lib/systemd \) -prune -o -print | sort
    # Users and groups with their ids.
    cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
}

refused() {
    if "$@"; then
        echo "should have failed: $*"
        exit 1
    fi
}

as() {
    runuser -u "$@"
}

useradd member
useradd stranger
listing >before

apt-get install -y ./sdtrt.deb
refused systemctl is-enabled sdtrtd
systemctl enable --now sdtrtd
install -m 644 golden.safetensors /var/lib/sdtrt/models
sdtrtctl runtime install
sdtrtctl wait --timeout 600
sdtrtctl list | grep ' ready '
sdtrtctl show golden.safetensors | grep unproven
sdtrtctl verify
systemctl status --no-pager sdtrtd
systemctl reload sdtrtd
echo 'quota = "7 apples"' >>/etc/sdtrt/sdtrtd.toml
refused systemctl reload sdtrtd
sed -i '$d' /etc/sdtrt/sdtrtd.toml

usermod -aG sdtrt member
as member -- sdtrtctl status
refused as member -- sdtrtctl pause
refused as stranger -- sdtrtctl status

# As a web UI that root runs does with the extension.
PYTHONPATH=/usr/share/sdtrt/webui python3 -c 'import sdtrt.signature'
test -d /usr/share/sdtrt/webui/sdtrt/__pycache__

ls -l /var/lib/sdtrt/engines >engines
apt-get remove -y sdtrt
refused test -e /run/sdtrtd.sock
test -f /etc/sdtrt/sdtrtd.toml
ls -l /var/lib/sdtrt/engines | diff engines -
refused test -e /usr/share/sdtrt

apt-get install -y ./sdtrt.deb
systemctl enable --now sdtrtd
sdtrtctl wait --timeout 60
ls -l /var/lib/sdtrt/engines | grep -v usage | diff engines -

apt-get purge -y sdtrt
find /var/lib/sdtrt -type f | diff - /dev/fd/3 3<<END
/var/lib/sdtrt/models/golden.safetensors
END
rm -r /var/lib/sdtrt
listing | diff before -
refused test -e /run/sdtrtd.sock
