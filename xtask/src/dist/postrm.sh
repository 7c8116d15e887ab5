#!/bin/sh
# Removing keeps engines and configuration; purging keeps only checkpoints.
set -e
if [ "$1" = purge ]; then
    if [ -d /var/lib/sdtrt ]; then
        find /var/lib/sdtrt -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} +
        rmdir /var/lib/sdtrt/models /var/lib/sdtrt 2>/dev/null ||
            echo "sdtrt: keeping your checkpoints in /var/lib/sdtrt/models"
    fi
    rm -rf /etc/sdtrt /run/sdtrtd.sock
    # Otherwise the remaining files would belong to whichever user gets these ids next.
    if [ -d /var/lib/sdtrt ]; then
        find /var/lib/sdtrt -user sdtrt -exec chown -h root {} +
        find /var/lib/sdtrt -group sdtrt -exec chgrp -h root {} +
    fi
    # A leftover group that checkpoints still belong to is harmless; a leftover user may not be.
    if getent passwd sdtrt >/dev/null; then userdel sdtrt; fi
    if getent group sdtrt >/dev/null; then groupdel sdtrt; fi
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
