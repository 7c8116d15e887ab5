#!/bin/sh
set -e
if [ "$1" = remove ]; then
    # Python's, of a web UI that root runs: dpkg and rpm leave folders that are not empty.
    find /usr/share/sdtrt/webui -depth -name __pycache__ -exec rm -rf {} + 2>/dev/null || true
    if [ -d /run/systemd/system ]; then
        systemctl stop sdtrtd.service sdtrtd.socket || true
    fi
    systemctl disable --quiet sdtrtd.service sdtrtd.socket || true
fi
