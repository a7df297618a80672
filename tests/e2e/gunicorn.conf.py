"""For every gunicorn of the tests."""

# Starts in a quarter of the time; what a worker learns after the fork is still its own.
preload_app = True

# Its default path is one for all servers of a user, and several run at a time. Unknown to gunicorn before 25.
control_socket_disable = True


def pre_request(worker, req):
    """Log which process takes a request, before it can answer: an access log is written afterwards."""
    worker.log.info("request for worker %d: %s %s", worker.pid, req.method, req.path)
