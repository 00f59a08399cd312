/** Which URLs an identity provider may be reached at: https, or plain http on this machine. */

/** A loopback host name or address, as a URL writes it. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/**
 * Parses the address of an issuer or of one of its documents. Throws TypeError when it isn't https (http on a loopback
 * host) or carries a user name, password or fragment.
 */
export function endpointUrl(text: string): URL {
  const url = new URL(text);
  const isAllowed = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  if (!isAllowed) throw new TypeError('neither https nor http on a loopback host');
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new TypeError('a URL with a user name, password or fragment');
  }
  return url;
}
