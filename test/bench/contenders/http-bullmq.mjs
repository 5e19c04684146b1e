/**
 * The same app with BullMQ over a Redis of its own on the loopback interface, that stores nothing on disk. Its worker is in
 * this process too and does nothing per job, which costs less than any process or thread for it would.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Queue, Worker } from 'bullmq'
import express from 'express'
import { NotAvailable } from '../not-available.mjs'

const keep = { removeOnComplete: true, removeOnFail: true }

export async function makeApp() {
  const connection = { host: '127.0.0.1', port: await startRedis() }
  const queue = new Queue('noop', { connection, defaultJobOptions: keep })
  let accepted = 0
  let completed = 0
  const worker = new Worker('noop', async () => void completed++, { connection, concurrency: 256 })
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
  const app = express().disable('x-powered-by').use(express.json())
  app.post('/', async (req, res) => {
    const { id } = await queue.add('noop', { userId: 'user_123', n: req.body.n })
    accepted++
    res.status(202).json({ id })
  })
  const idle = async () => {
    while (completed < accepted) await once(worker, 'completed')
  }
  return { app, completed: () => completed, idle }
}

/** Starts a Redis that ends with this process; answers its port. */
async function startRedis() {
  const port = await freePort()
  const argv = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const redis = spawn('redis-server', argv, { stdio: ['ignore', 'pipe', 'ignore'] })
  process.once('exit', () => redis.kill())
  const failed = once(redis, 'error').then(([error]) => {
    throw error.code === 'ENOENT' ? new NotAvailable('redis-server is not installed.') : error
  })
  await Promise.race([readyToAccept(redis.stdout), failed])
  redis.unref()
  return port
}

async function readyToAccept(output) {
  for await (const text of output.setEncoding('utf8'))
    if (text.includes('Ready to accept connections')) return output.destroy()
  throw new Error('redis-server ended before it was ready.')
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
