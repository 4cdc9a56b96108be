"""
The wire: bytes out, stamped bytes in.

`receiver` drains every connection of the process from one epoll in one callback: read, stamp, append. `exchange`
frames one HTTP response afterwards, off the timed path. `connection` opens, sends and keeps connections for reuse;
`tls` puts TLS on the same reads. `through_httpx` is for what this wire does not speak, HTTP/2 and proxies, over
`streams`; `transport` lends this wire to plain httpx code. Nothing here knows what the bytes mean.
"""
