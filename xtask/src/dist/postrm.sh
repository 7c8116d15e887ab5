#!/bin/sh
# Removing leaves engines and configuration; purging leaves nothing but checkpoints.
set -e
if [ "$1" = purge ]; then
    if [ -d /var/lib/sdtrt ]; then
        find /var/lib/sdtrt -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} +
        rmdir /var/lib/sdtrt/models /var/lib/sdtrt 2>/dev/null ||
            echo "sdtrt: your checkpoints in /var/lib/sdtrt/models are left where they are"
    fi
    rm -rf /etc/sdtrt /run/sdtrtd.sock
    # Else what is left would belong to whoever gets the numbers next.
    if [ -d /var/lib/sdtrt ]; then
        find /var/lib/sdtrt -user sdtrt -exec chown -h root {} +
        find /var/lib/sdtrt -group sdtrt -exec chgrp -h root {} +
    fi
    # A group still in use by checkpoints is no harm, a user that can log in by accident would be.
    if getent passwd sdtrt >/dev/null; then userdel sdtrt; fi
    if getent group sdtrt >/dev/null; then groupdel sdtrt; fi
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
