#!/bin/sh
# Creates the user and the folders. Enabling the service is left to the administrator.
set -e
if [ "$1" = configure ]; then
    systemd-sysusers sdtrt.conf
    systemd-tmpfiles --create sdtrt.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # After an upgrade: what runs is the new one.
        systemctl try-restart sdtrtd.service || true
    fi
fi
