/** Capability flags, status flags and collations, as numbers of the manual, and which of them Cordon speaks. */

/** CLIENT_* flags of the handshake. */
export const capability = {
  LONG_PASSWORD: 1,
  FOUND_ROWS: 2,
  LONG_FLAG: 4,
  CONNECT_WITH_DB: 8,
  PROTOCOL_41: 0x200,
  INTERACTIVE: 0x400,
  SSL: 0x800,
  TRANSACTIONS: 0x2000,
  SECURE_CONNECTION: 0x8000,
  MULTI_STATEMENTS: 0x10000,
  MULTI_RESULTS: 0x20000,
  PS_MULTI_RESULTS: 0x40000,
  PLUGIN_AUTH: 0x80000,
  CONNECT_ATTRS: 0x100000,
  PLUGIN_AUTH_LENENC_CLIENT_DATA: 0x200000,
  SESSION_TRACK: 0x800000,
  DEPRECATE_EOF: 0x1000000,
  QUERY_ATTRIBUTES: 0x8000000,
} as const;

/** Flags that an upstream may lack: the relay, or whoever frames a command, makes up for it. */
export const optionalCapabilities =
  capability.DEPRECATE_EOF | capability.SESSION_TRACK | capability.QUERY_ATTRIBUTES;

/** Flags that change what travels after sign-in: what the client negotiated is asked of the upstream, no more. */
export const relayedCapabilities =
  capability.FOUND_ROWS |
  capability.LONG_FLAG |
  capability.INTERACTIVE |
  capability.TRANSACTIONS |
  capability.MULTI_STATEMENTS |
  capability.MULTI_RESULTS |
  capability.PS_MULTI_RESULTS |
  optionalCapabilities;

/** Without these the other side is too old to talk to. */
export const neededCapabilities =
  capability.PROTOCOL_41 | capability.SECURE_CONNECTION | capability.PLUGIN_AUTH;

/** What a client is offered, TLS apart. Not on offer: compression, LOCAL INFILE, optional metadata,
 *  IGNORE_SPACE (it changes what a text means). LONG_PASSWORD says that this is MySQL's kind of greeting: no flags of MariaDB's
 *  own stand in it. */
export const offeredCapabilities =
  capability.LONG_PASSWORD |
  capability.CONNECT_WITH_DB |
  neededCapabilities |
  relayedCapabilities |
  capability.CONNECT_ATTRS |
  capability.PLUGIN_AUTH_LENENC_CLIENT_DATA;

/** SERVER_STATUS_* flags of OK and EOF packets. */
export const serverStatus = {
  IN_TRANS: 0x0001,
  AUTOCOMMIT: 0x0002,
  MORE_RESULTS_EXISTS: 0x0008,
  CURSOR_EXISTS: 0x0040,
  LAST_ROW_SENT: 0x0080,
  SESSION_STATE_CHANGED: 0x4000,
} as const;

/** utf8mb4_general_ci: what Cordon speaks upstream, whatever the client named. */
export const utf8mb4Collation = 45;

/** True for a collation that a client names (the handshake has room for its last byte only) when texts in it can be read as UTF-8, or hold ASCII alone where they can't:
 *  utf8mb3, utf8mb4, ascii, latin1, binary, and 0 (no choice). Multi-byte character sets whose second byte may be a
 *  quote or a backslash (gbk, sjis, big5, cp932, gb18030) and the wide ones are not among them. */
export function isReadableCollation(id: number): boolean {
  return (
    id === 0 ||
    id === 63 ||
    id === 11 ||
    id === 65 ||
    latin1.has(id) ||
    id === 33 ||
    id === 83 ||
    id === 76 ||
    (id >= 192 && id <= 215) ||
    id === 223 ||
    id === 45 ||
    id === 46 ||
    (id >= 224 && id <= 247) ||
    (id >= 255 && id <= 323)
  );
}
const latin1 = new Set([5, 8, 15, 31, 47, 48, 49, 94]);
