"""
The wire: bytes out, stamped bytes in.

`receiver` drains every connection of the process from one epoll in one callback: read, stamp, append. `exchange`
frames one HTTP response afterwards, off the timed path. `connection` opens, sends and keeps connections for reuse;
`tls` puts TLS on the same reads. Nothing here knows what the bytes mean.
"""
