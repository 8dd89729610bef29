import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { HostCheck } from './hosts.ts';

const request = (host: string | undefined, origin?: string): IncomingMessage =>
  ({
    headers: { host, origin },
    rawHeaders: host === undefined ? [] : ['Host', host],
  }) as unknown as IncomingMessage;

const LOCAL = { host: '127.0.0.1', public_url: undefined, allowed_hosts: [], allowed_origins: [] };
const PUBLIC = {
  host: '0.0.0.0',
  public_url: 'https://gate.example.com',
  allowed_hosts: ['gate.internal:8443'],
  allowed_origins: ['https://app.example.com'],
};

describe('Host and Origin', () => {
  it.each(['127.0.0.1:8080', 'localhost:8080', 'LOCALHOST', '[::1]:8080', '127.9.9.9'])(
    '[GW-HOST] on a loopback bind %s may be named',
    (host) => expect(new HostCheck(LOCAL).refuse(request(host))).toBeUndefined(),
  );

  it('[T119] refuses a request that names two hosts, whichever of them counts', () => {
    const twice = { headers: { host: 'localhost' }, rawHeaders: ['Host', 'localhost', 'HOST', 'localhost'] };
    expect(new HostCheck(LOCAL).refuse(twice as unknown as IncomingMessage)).toContain('Host');
  });

  it.each([
    undefined,
    '',
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil@localhost',
    'localhost/x',
    'a b',
    'localhost:80:80',
    '[::1',
    'localhost:',
  ])('[GW-HOST] on a loopback bind %j may not', (host) =>
    expect(new HostCheck(LOCAL).refuse(request(host))).toContain('allowed_hosts'),
  );

  it('[GW-HOST] beyond loopback only what the settings name', () => {
    const check = new HostCheck(PUBLIC);
    expect(check.refuse(request('gate.example.com'))).toBeUndefined();
    expect(check.refuse(request('gate.internal:8443'))).toBeUndefined();
    expect(check.refuse(request('gate.example.com:444'))).toBeDefined();
    expect(check.refuse(request('localhost'))).toBeDefined();
    expect(check.refuse(request('127.0.0.1'))).toBeDefined();
  });

  it.each([
    ['https://app.example.com', true],
    ['https://gate.example.com', true],
    ['https://evil.example', false],
    ['null', false],
    ['https://gate.example.com.evil.example', false],
    ['file://', false],
  ])('[GW-HOST] the origin %s: %s', (origin, allowed) => {
    expect(new HostCheck(PUBLIC).refuse(request('gate.example.com', origin)) === undefined).toBe(allowed);
  });
});
