import { createHash } from 'node:crypto'
import { Refusal } from '@/lib/answers'
import { createAdminClient } from '@/lib/supabase'

const HOUR = 60 * 60 * 1000

export async function authorisedKey(request: Request) {
  const supabase = createAdminClient()
  const bearer = request.headers.get('authorization')?.replace('Bearer ', '')
  const given = request.headers.get('x-api-key') ?? bearer
  if (!given) throw new Refusal(401, 'UNAUTHORIZED', 'Invalid or missing API key')
  const digest = createHash('sha256').update(given).digest('hex')
  const { data: key, error } = await supabase
    .from('api_keys')
    .select('id, permissions, rate_limit')
    .eq('key_hash', digest)
    .eq('is_active', true)
    .maybeSingle()
  if (error) throw error
  if (!key) throw new Refusal(401, 'UNAUTHORIZED', 'Invalid or missing API key')
  const permissions: string[] = key.permissions ?? []
  if (!permissions.includes('write:bookings') && !permissions.includes('*')) {
    throw new Refusal(403, 'FORBIDDEN', 'Insufficient permissions')
  }
  const { count, error: uncounted } = await supabase
    .from('api_usage')
    .select('id', { count: 'exact', head: true })
    .eq('api_key_id', key.id)
    .gte('created_at', new Date(Date.now() - HOUR).toISOString())
  if (uncounted) throw uncounted
  if (key.rate_limit !== null && (count ?? 0) >= key.rate_limit) {
    throw new Refusal(429, 'RATE_LIMIT_EXCEEDED', 'Rate limit exceeded')
  }
  const { error: unused } = await supabase
    .from('api_keys')
    .update({ last_used_at: new Date().toISOString() })
    .eq('id', key.id)
  if (unused) throw unused
  return key
}

export async function logUsage(keyId: string, statusCode: number, startedAt: number) {
  // What goes wrong here must not cost a booking.
  await createAdminClient().from('api_usage').insert({
    api_key_id: keyId,
    endpoint: '/api/bookings/initiate',
    method: 'POST',
    status_code: statusCode,
    response_time_ms: Math.round(performance.now() - startedAt),
  })
}
