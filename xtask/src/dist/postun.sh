#!/bin/sh
# cargo-generate-rpm packs files alone: nobody owns their folders.
set -e
if [ "$1" = 0 ]; then
    for folder in /etc/sdtrt /usr/libexec/sdtrt /usr/share/doc/sdtrt /usr/share/sdtrt; do
        if [ -d "$folder" ]; then find "$folder" -depth -type d -empty -delete; fi
    done
    if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
fi
