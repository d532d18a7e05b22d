-- For tests: a clock that stands at what the key `clock` says, and a lease that ends by it.

local function now()
  return tonumber(redis.call('GET', K.clock) or '0')
end

local function held_lease()
  local ends = tonumber(redis.call('GET', K['clock:lease']) or '0')
  return ends > now() and redis.call('GET', K.leader)
end

local function renew_lease(ttl)
  redis.call('SET', K['clock:lease'], now() + ttl)
end

local function grant_lease(token, ttl)
  redis.call('SET', K.leader, token)
  renew_lease(ttl)
end
