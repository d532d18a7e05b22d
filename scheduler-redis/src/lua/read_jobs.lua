-- Jobs as stored, with all that is needed to change them. Writes nothing.
-- KEYS: due parked versions fired busy jobs, then the job of each id
-- ARGV: the ids (at most 500)
-- Answers: {now, {due or false, ...}, {parked at or false, ...}, {version or false, ...},
--   {fired or false, ...}, {busy text or false, ...}, {head and record or false, ...}, {record and state
--   as they were once kept, paused from, since, until, by, why} or false of each}
local t = now()
if #ARGV == 0 then
  return { t, {}, {}, {}, {}, {}, {}, {} }
end
local texts, fields = redis.call('HMGET', K.jobs, unpack(ARGV)), {}
for i = 1, #ARGV do
  fields[i] = (not texts[i] or string.find(texts[i], '^%d+ paused'))
    and redis.call('HMGET', KEYS[TAIL + i], 'record', 'state', 'paused_from', 'paused_since',
      'paused_until', 'paused_by', 'paused_why')
    or false
end
return {
  t,
  redis.call('ZMSCORE', K.due, unpack(ARGV)),
  redis.call('ZMSCORE', K.parked, unpack(ARGV)),
  redis.call('HMGET', K.versions, unpack(ARGV)),
  redis.call('HMGET', K.fired, unpack(ARGV)),
  redis.call('HMGET', K.busy, unpack(ARGV)),
  texts,
  fields,
}
