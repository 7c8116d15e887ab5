#!/bin/sh
# Creates the user and the folders. The administrator enables the service.
set -e
if [ "$1" = configure ]; then
    systemd-sysusers sdtrt.conf
    systemd-tmpfiles --create sdtrt.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # After an upgrade: run the new version.
        systemctl try-restart sdtrtd.service || true
    fi
fi
