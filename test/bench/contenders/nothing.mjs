/** No pool at all: a server with nothing to do beside its requests. */
export const start = undefined
