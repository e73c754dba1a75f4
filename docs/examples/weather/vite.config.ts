// vite.config.ts
import { defineConfig } from 'vite'

export default defineConfig({
  worker: { format: 'es' },
  server: {
    proxy: {
      '/api/openai': {
        target: 'https://api.openai.com',
        changeOrigin: true,
        rewrite: (path) => path.replace('/api/openai', '/v1'),
        headers: { authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
      },
    },
  },
})
