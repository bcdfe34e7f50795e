"""Which requests a route takes: the rules of routes as sets of requests that can be compared."""
