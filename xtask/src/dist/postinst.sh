#!/bin/sh
# Creates the user and the folders. The administrator enables the service.
set -e
if [ "$1" = configure ]; then
    systemd-sysusers sdtrt.conf
    # It needs /proc, which a root that an image is made of may lack; each start of systemd does the same.
    systemd-tmpfiles --create sdtrt.conf || true
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # After an upgrade: run the new version.
        systemctl try-restart sdtrtd.service || true
    fi
fi
