// client.js SOURCE DESTINATION: one sandbox from one daemon to the other, knowing no .proto file.
// Says what it saw as one JSON object on standard output. NODE_PATH leads to the packages.
'use strict';
const grpc = require('@grpc/grpc-js');
const { GrpcReflection } = require('grpc-js-reflection-client');

const options = { keepCase: true, longs: String, enums: String, bytes: Buffer, defaults: false };

async function connect(address, name) {
    const credentials = grpc.ChannelCredentials.createInsecure();
    const reflection = new GrpcReflection(address, credentials);
    const descriptor = await reflection.getDescriptorBySymbol(name);
    const Service = name.split('.').reduce((at, word) => at[word], descriptor.getPackageObject(options));
    const client = new Service(address, credentials);
    const call = (method, request) => new Promise((resolve, reject) =>
        client[method](request, { deadline: Date.now() + 90000 },
            (error, answer) => error ? reject(error) : resolve(answer)));
    return { call, reflection, client };
}

// What grpc-js gives of an error: its code, and the types in grpc-status-details-bin.
async function refusal(promise) {
    try {
        await promise;
    } catch (error) {
        const status = error.metadata.get('grpc-status-details-bin')[0];
        return {
            code: error.code,
            message: error.details,
            types: String(status).match(/google\.rpc\.[A-Za-z]+/g),
            status: Buffer.from(status).toString('base64'),
        };
    }
    throw new Error('a restore that had to be refused was not');
}

function firstEvents(client, count) {
    return new Promise((resolve, reject) => {
        const seen = [], stream = client.WatchEvents({ from_start: true }, { deadline: Date.now() + 20000 });
        stream.on('data', (answer) => {
            seen.push(answer.event.type);
            if (seen.length === count) stream.cancel();
        });
        stream.on('error', (error) => seen.length >= count ? resolve(seen) : reject(error));
    });
}

async function main(from, to) {
    const sandboxes = 'sandferry.v1.SandboxService';
    const source = await connect(from, sandboxes), destination = await connect(to, sandboxes);
    const health = await connect(from, 'grpc.health.v1.Health');
    const seen = { services: await source.reflection.listServices(), health: await health.call('Check', {}) };

    seen.created = await source.call('CreateSandbox',
        { sandbox_id: 's', vm: { memory_bytes: String(256 << 20), processors: 1 } });
    const saved = await source.call('SaveSandbox', { sandbox_id: 's' });
    const altered = { ...saved.snapshot, sandbox_id: 'another' };
    seen.altered = await refusal(destination.call('RestoreSandbox', { snapshot: altered }));
    const wrong = { ...saved.snapshot, labels: [{ key: 'b' }, { key: 'a' }, { key: 'a' }] };
    seen.wrong = await refusal(destination.call('RestoreSandbox', { snapshot: wrong }));
    seen.restored = await destination.call('RestoreSandbox', { snapshot: saved.snapshot });
    seen.events = await firstEvents(destination.client, 1);
    console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);
}).then(() => process.exit(0));
