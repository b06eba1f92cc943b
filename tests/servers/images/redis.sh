#!/bin/sh
# Serves Redis to whoever can reach the container, with the arguments as further settings.
if [ "$1" = redis-server ]; then shift; fi
exec redis-server --bind 0.0.0.0 --protected-mode no "$@"
