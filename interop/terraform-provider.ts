/** What a Terraform provider would do, with nothing of ours but the documented API. Prints what it was answered. */
const { SALLYPORT_URL: url, TFC_WORKLOAD_IDENTITY_TOKEN: outside } = process.env;
if (url === undefined || outside === undefined) throw new Error('SALLYPORT_URL and TFC_WORKLOAD_IDENTITY_TOKEN are needed');

const form = new URLSearchParams({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: outside, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
});
const exchanged = await fetch(`${url}/accounts/default/oauth/token`, { method: 'POST', body: form });
const { access_token: session } = (await exchanged.json()) as { access_token: string };

const project = `${url}/api/v1/accounts/default/orgs/payments/projects/checkout`;
const call = (method: string, path: string, body?: object): Promise<Response> => fetch(`${project}/${path}`, {
  method, headers: { authorization: `Bearer ${session}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
});

const created = await call('POST', 'services', { identifier: 'shop', name: 'The web shop', spec: {} });
const read = await call('GET', 'services/shop');
const { name } = (await read.json()) as { name: string };
const removed = await call('DELETE', 'services/shop');
const gone = await call('GET', 'services/shop');
const other = await call('POST', 'environments', { identifier: 'staging', spec: { type: 'PreProduction' } });
const answers = { exchange: exchanged.status, create: created.status, read: read.status, name, remove: removed.status, gone: gone.status, other: [403, 404].includes(other.status) ? 'refused' : other.status };
process.stdout.write(JSON.stringify(answers));
