-- Renews the lease, shows progress, and looks at what is due.
-- KEYS: leader beat due versions changed busy retry finished resume gates inuse buckets openings
--   followers, then (high, ready, low, wake) of each queue
-- ARGV: token, ttl ms, limit (at most 500), queues, what `changed` was when the caller knew all versions, or "",
--   how many ms to look ahead for what comes to be due
-- Answers: {now, {due jobs, their scores (one, if all have the same)}, versions (none if `changed` is
--   as the caller says), runs in flight, next due or "", retries (member,
--   score, ...), next retry or "", finished jobs, jobs whose pause has ended (at most 200), next end
--   of a pause or "", the namespace's gate or "", {jobs that may have room for runs that are lined
--   up, versions of these, 1 where jobs follow others, 1 where runs are in flight, what `changed` is or ""}}; or "lost".
--   Asked again: harmless.
if held_lease() ~= ARGV[1] then
  return 'lost'
end
local t = now()
go_on_when_full(K.finished)
renew_lease(tonumber(ARGV[2]))
redis.call('INCR', K.beat)
local till, reach = int(t), int(t + tonumber(ARGV[6]))
local limit = tonumber(ARGV[3])
local head = redis.call('ZRANGE', K.due, '-inf', reach, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
local jobs, scores = {}, {}
if head[1] then
  -- A score is printed digit by digit, which takes Redis longer than finding a job.
  jobs = redis.call('ZRANGE', K.due, head[2], head[2], 'BYSCORE', 'LIMIT', 0, limit)
  scores[1] = head[2]
  if #jobs < limit then
    local due = redis.call('ZRANGE', K.due, '-inf', reach, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
    if #due > 2 * #jobs then
      jobs = {}
      for i = 1, #due, 2 do
        jobs[#jobs + 1] = due[i]
        scores[#jobs] = due[i + 1]
      end
    end
  end
end
local versions, busy, changed = {}, {}, redis.call('GET', K.changed) or ''
if #jobs > 0 then
  if changed == '' or changed ~= ARGV[5] then
    versions = redis.call('HMGET', K.versions, unpack(jobs))
  end
  for i, runs in ipairs(redis.call('HMGET', K.busy, unpack(jobs))) do
    busy[i] = count_words(runs)
  end
end
local next_due =
  redis.call('ZRANGE', K.due, '(' .. reach, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
local retries =
  redis.call('ZRANGE', K.retry, '-inf', till, 'BYSCORE', 'LIMIT', 0, 200, 'WITHSCORES')
local next_retry =
  redis.call('ZRANGE', K.retry, '(' .. till, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
local openings = redis.call('ZRANGE', K.openings, 0, 199)
local open_versions = #openings > 0 and redis.call('HMGET', K.versions, unpack(openings)) or {}
local finished = redis.call('ZRANGE', K.finished, '-inf', '(+inf', 'BYSCORE', 'LIMIT', 0, 200)
local resumes = redis.call('ZRANGE', K.resume, '-inf', till, 'BYSCORE', 'LIMIT', 0, 200)
local next_resume =
  redis.call('ZRANGE', K.resume, '(' .. till, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
-- A marker may have gone down with the node that it woke, a rate may have been refilled: offer
-- waiting runs anew.
local g = read_gates(t, {})
for i = 1, tonumber(ARGV[4]) do
  local first, waiting = 4 * i - 3, 0
  for list = first, first + 2 do
    waiting = waiting + redis.call('LLEN', list_key(list))
  end
  offer(g, i, waiting)
end
return {
  t, { jobs, scores }, versions, busy, next_due[2] or '', retries, next_retry[2] or '', finished,
  resumes, next_resume[2] or '', redis.call('HGET', K.gates, '*') or '',
  { openings, open_versions, redis.call('EXISTS', K.followers), redis.call('EXISTS', K.busy), changed },
}
