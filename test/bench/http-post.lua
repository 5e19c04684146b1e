wrk.method = 'POST'
wrk.body = '{"n":1}'
wrk.headers['Content-Type'] = 'application/json'
