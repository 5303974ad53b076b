// A real issuer: tokens for programs, signed with a key of its own making.
import { createRequire } from 'node:module';
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [modules, port, kid] = process.argv.slice(2);
const found = createRequire(modules + '/').resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(found));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
const audience = (resource) => (resource === 'urn:other' ? 'api://other' : 'api://evercube');
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'nightly', client_secret: 'nightly-secret', redirect_uris: [], response_types: [],
    grant_types: ['client_credentials'],
  }],
  jwks: { keys: [key] },
  extraTokenClaims: () => ({ groups: ['Readers of OnlyA'] }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read', audience: audience(resource), accessTokenFormat: 'jwt', accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
